"""Train the cases of `diagnosis_cases`, diagnose each, and follow the advice of the faulty ones."""

import json
import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diagnosis_cases import HEALTHY, NAMES, Case, cases

from sweeps.config import SweepConfig
from sweeps.config.dotted_paths import with_values
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.build import load_network
from sweeps.models.diagnosis.findings import Severity
from sweeps.models.networks.network import Network
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset, load_dataset
from sweeps.trial.events import EpochEnded, Event, PointEnded, ReportedFinding, from_plain, to_plain
from sweeps.trial.pack import train_points

N_ROUNDS = 3


@dataclass(frozen=True)
class Outcome:
    """The findings of one training, its last error on the validation split, and the advice that led to it.

    `error` is `valid/mse`; `feature_error` is the mean over the features of their error, each in units of the feature's
    variance, so that trainings on raw and on standardised features can be compared. NaN if the training failed.
    """

    findings: Sequence[ReportedFinding]
    error: float
    feature_error: float
    standardizes_features: bool
    followed: str = ""
    cause: str = ""

    @property
    def serious(self) -> list[ReportedFinding]:
        """The findings above "note"."""
        return [finding for finding in self.findings if finding.severity != Severity.NOTE]


@dataclass(frozen=True)
class Run:
    """A case and its trainings: the first with its own settings, each later one after following advice."""

    case: Case
    outcomes: Sequence[Outcome]

    @property
    def is_found(self) -> bool:
        """Whether a finding above "note" names the injected fault."""
        return any(finding.name in NAMES[self.case.label] for finding in self.outcomes[0].serious)

    def is_cured(self, n_rounds: int) -> bool:
        """Whether within so many rounds the first finding is gone and the error is no worse."""
        return any(self._is_gone(outcome) and self._is_no_worse(outcome) for outcome in self.outcomes[1 : n_rounds + 1])

    @property
    def is_gone(self) -> bool:
        """Whether the first finding is gone at the end."""
        return len(self.outcomes) > 1 and self._is_gone(self.outcomes[-1])

    @property
    def is_no_worse(self) -> bool:
        """Whether the error at the end is no higher than that of the first training."""
        return self._is_no_worse(self.outcomes[-1])

    @property
    def error_ratio(self) -> float:
        """The error at the end over that of the first training; 0 if that one diverged."""
        first = self.error(self.outcomes[0])
        return self.error(self.outcomes[-1]) / first if math.isfinite(first) else 0.0

    def error(self, outcome: Outcome) -> float:
        """Return an outcome's `valid/mse`; its `feature_error` if the run's trainings have errors in other units."""
        is_same_unit = len({outcome.standardizes_features for outcome in self.outcomes}) == 1
        return outcome.error if is_same_unit else outcome.feature_error

    def _is_gone(self, outcome: Outcome) -> bool:
        return self.outcomes[0].serious[0].name not in {finding.name for finding in outcome.serious}

    def _is_no_worse(self, outcome: Outcome) -> bool:
        first = self.error(self.outcomes[0])
        return self.error(outcome) <= first if math.isfinite(first) else math.isfinite(self.error(outcome))


def measure(folder: Path, n_workers: int, *, n_of_each: int | None = None) -> Iterator[Run]:
    """Train all cases, or the first `n_of_each` label, in processes of one thread each."""
    chosen: list[Case] = []
    for case in cases(folder):
        if n_of_each is None or sum(other.label == case.label for other in chosen) < n_of_each:
            chosen.append(case)
    with ProcessPoolExecutor(n_workers, get_context("spawn"), _begin_worker) as workers:
        yield from workers.map(_run, chosen)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def _run(case: Case) -> Run:
    """Train a case; of a faulty one, follow the advice of the gravest finding and train again, up to three times."""
    document, outcomes = dict(case.document), [_train(case.document)]
    while case.label != HEALTHY and outcomes[-1].serious and len(outcomes) <= N_ROUNDS:
        finding = next((found for found in outcomes[-1].serious if found.change), None)
        if finding is None:
            break
        document = with_values(document, finding.change)
        outcomes.append(_train(document, finding))
    return Run(case, outcomes)


def _train(document: Mapping[str, Any], followed: ReportedFinding | None = None) -> Outcome:
    config = SweepConfig.from_dict(dict(document))
    standardizes = config.trial_at({}).model.standardize == "feature"
    dataset = _dataset(json.dumps([document["data"], standardizes], sort_keys=True), config)
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as name:
        folder = SweepFolder(Path(name))
        context = TrialContext(
            config,
            DataArrays.from_dict(dict(dataset.arrays)),
            dataset.references,
            folder,
            dataset.column_mean,
            statistics=dataset.statistics,
            standardized=dataset.standardized,
        )
        train_points({"0000": {}}, context, lambda *reported: events.extend(from_plain(to_plain(reported[-1]))))
        network = folder.point("0000").best_network
        feature_error = _feature_error(load_network(network), context.arrays) if network.exists() else math.nan
    (end,) = [event for event in events if isinstance(event, PointEnded)]
    metrics = [event.metrics for event in events if isinstance(event, EpochEnded) and "valid/mse" in event.metrics]
    error = metrics[-1]["valid/mse"] if metrics and not end.failed else math.nan
    assert end.findings is not None, end.reason
    settings = "" if followed is None else ", ".join(f"{path}={value}" for path, value in followed.change.items())
    return Outcome(
        end.findings,
        error,
        math.nan if end.failed else feature_error,
        standardizes,
        settings,
        "" if followed is None else followed.name,
    )


@torch.no_grad()
def _feature_error(network: Network, arrays: DataArrays) -> float:
    inputs = np.asarray(arrays.valid.inputs, np.float64) * arrays.scale
    outputs = network(torch.from_numpy(inputs.astype(np.float32))).reconstruction.numpy().astype(np.float64)
    variances = inputs.var(axis=0)
    varies = variances > 0
    return float(np.mean(np.square(outputs - inputs).mean(axis=0)[varies] / variances[varies]))


_DATASETS: dict[str, Dataset] = {}


def _dataset(key: str, config: SweepConfig) -> Dataset:
    if key not in _DATASETS:
        _DATASETS[key] = load_dataset(config)
    return _DATASETS[key]

"""Evaluate a trial's best checkpoint on the test split, which no search has used."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from sweeps.config import TrialConfig
from sweeps.datamodules.arrays import DataArrays, Split
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.errors import DataError, InputError
from sweeps.models import saved_network
from sweeps.models.build import input_noise
from sweeps.models.errors import ModelError
from sweeps.models.networks.network import Network
from sweeps.models.training.validation import Validation, probe
from sweeps.storage import earlier_names
from sweeps.storage.layout import home
from sweeps.storage.object_store import Place
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.tracking.short_text import aligned, fitted
from sweeps.tracking.trial_lookup import TrialName, select_trial
from sweeps.trial.dataset import load_splits
from sweeps.trial.references import references_for


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a trial's best checkpoint on the `n_samples` of the test split, named `test/...`.

    `epoch` is the trial's best epoch, which it is ranked by.
    """

    sweep: str
    trial: str
    epoch: int
    n_samples: int
    metrics: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain values."""
        return asdict(self)

    def __repr__(self) -> str:
        head = f"Evaluation {self.sweep}/{self.trial}: epoch {self.epoch}, {self.n_samples} test samples"
        return fitted([head, *aligned(self.metrics, len(self.metrics))])


def evaluate(result: SweepResult, trial: TrialName = None) -> Evaluation:
    """Evaluate the best checkpoint of a finished trial, by default the best trial, on the test split.

    Raises InputError if the trial has not finished or its checkpoint is missing, DataError if the data set is missing,
    has changed since, or has no test split.
    """
    ranked = ranked_trial(result, trial)
    network = load_best_network(result, ranked.trial)
    arrays = data_of(result)
    if not len(arrays.test):
        n_samples = len(arrays.train.inputs)
        raise DataError(
            f"{result.sweep} must have test samples, but data.n_test is 0 and {n_samples} samples are for training; "
            f"run it again, for example with --set data.n_test={max(1, n_samples // 10)}"
        )
    metrics = measure(network, result.config.trial_at(dict(ranked.point)), arrays, arrays.test)
    return Evaluation(
        sweep=result.sweep,
        trial=ranked.trial,
        epoch=ranked.epoch,
        n_samples=len(arrays.test),
        metrics={f"test/{name}": value for name, value in metrics.items()},
    )


def ranked_trial(result: SweepResult, trial: TrialName = None) -> RankedTrial:
    """Return a finished trial, by default the best, at its best epoch.

    Raises UnknownTrial if there is none of that name, InputError if it has not finished.
    """
    point = select_trial(result, trial)
    for ranked in result.ranking:
        if ranked.trial == point.point_id:
            return ranked
    raise InputError(
        f"the trial must be finished and ranked, but {result.sweep}/{point.point_id} is {point.state}"
        f"{'' if point.reason is None else f' ({point.reason})'}: `sweeps best {result.sweep}` lists the ranked trials"
    )


def load_best_network(result: SweepResult, trial: str) -> Network:
    """Load the network of a trial's best epoch. Raises InputError if its file is missing, damaged or of another."""
    path = best_network_path(result, trial)
    again = "restore the file, or run the sweep again"
    point = next(point for point in result.points if point.point_id == trial)
    model = result.config.trial_at(dict(point.point)).model
    try:
        saved = saved_network.read(path, model.name)
    except ModelError as error:
        raise InputError(f"{error}: {again}") from error
    n_features = (result.record.dataset or {}).get("n_features", saved.network.input_size)
    if saved.model != model or saved.network.input_size != n_features:
        raise InputError(
            f"{path} must hold the network of {result.sweep}/{trial}, but its settings are those of another: {again}"
        )
    return saved.network


def best_network_path(result: SweepResult, trial: str) -> Place:
    """Return the file of a trial's best network. Raises InputError if it is missing."""
    path = result.folder.point(trial).best_network
    found = earlier_names.stored(path)
    if found is None:
        raise InputError(
            f"the network of {result.sweep}/{trial} must be at {path}, but it is missing: run the sweep again"
        )
    return found


def data_of(result: SweepResult) -> DataArrays:
    """Load the data set of a sweep, with its test split. Raises DataError if it is missing or has changed."""
    arrays = load_splits(result.config)
    recorded = (result.record.dataset or {}).get("checksum")
    if arrays.checksum != recorded:
        raise DataError(
            f"the data set {arrays.name} must be the one that {result.sweep} was run on, with checksum {recorded}, but "
            f"its checksum is {arrays.checksum}: restore it, or run the sweep again on the new data"
        )
    return arrays


@torch.no_grad()
def measure(network: Network, trial: TrialConfig, arrays: DataArrays, split: Split) -> dict[str, float]:
    """Return a network's metrics on one split of `arrays`, named without `valid/` or `test/`.

    The mean predictor, PCA and the linear classifier are fitted on the training split and evaluated on `split`.
    """
    measured = replace(arrays, valid=split)
    references = references_for(trial.model, measured, home() / "references")
    data = ArrayDataModule(measured, batch_size=trial.training.batch_size, seed=trial.training.seed)
    validation = Validation(network, input_noise(trial.model), references)
    for batch in data.val_dataloader():
        validation.update(batch)
    metrics = validation.metrics()
    if split.labels is not None and trial.training.probe_samples:
        labels = data.valid_labels()
        assert labels is not None
        sample = data.train_sample(trial.training.probe_samples)
        metrics["probe_error"] = probe(network, sample, data.valid_inputs(), labels)
    return metrics

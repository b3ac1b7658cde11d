"""The diagnosis of the network to promote, at its best epoch, which may not be the last of its training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeps.config import TrialConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.build import build_phases
from sweeps.models.diagnosis.examination import N_TRAIN_SAMPLES, N_VALID_SAMPLES, Examination
from sweeps.models.diagnosis.findings import Finding, FindingName
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import Network
from sweeps.storage.layout import home
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.trial.pca_cache import pca_of
from sweeps.trial.references import needs_statistics, references_for, statistics_of

History = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Rediagnosis:
    """The names of a network's findings at its best `epoch`, and of those at the end of its training.

    `at_end` is None if the training ended too early to be diagnosed. `advice` is the change that each finding at the
    best epoch advises, by its name.
    """

    epoch: int
    last_epoch: int
    findings: Sequence[str]
    at_end: Sequence[str] | None
    advice: Mapping[str, str] = field(default_factory=dict)


def rediagnose(
    result: SweepResult, ranked: RankedTrial, trial: TrialConfig, arrays: DataArrays, network: Network
) -> Rediagnosis:
    """Diagnose a finished trial's network at its best epoch.

    Too high a learning rate concerns the whole training, so it counts even if it shows only after the best epoch.
    "Still improving" can be judged only at the end of the training, so it counts only if it was found there.
    """
    with read_journal(result.folder) as journal:
        history = journal.history(ranked.trial)
    at_end = None if ranked.diagnosis is None else _names(finding["name"] for finding in ranked.diagnosis)
    found: list[dict[str, Any]] = [
        {"name": str(finding.name), "advice": finding.advice, "change": finding.change}
        for finding in _findings(trial, arrays, network, history, ranked.epoch)
    ]
    findings = _names(finding["name"] for finding in found)
    if FindingName.LEARNING_RATE in (at_end or ()):
        findings = _names([FindingName.LEARNING_RATE, *findings])
    if FindingName.STILL_IMPROVING in findings and FindingName.STILL_IMPROVING not in (at_end or ()):
        findings.remove(FindingName.STILL_IMPROVING)
    advice: dict[str, str] = {}
    for finding in [*found, *(ranked.diagnosis or ())]:
        if finding["name"] in findings:
            advice.setdefault(finding["name"], _what_to_change(finding))
    return Rediagnosis(ranked.epoch, history[-1][0], findings, at_end, advice)


def _findings(trial: TrialConfig, arrays: DataArrays, network: Network, history: History, epoch: int) -> list[Finding]:
    """Return the findings that the trial's own diagnosis would have reported at `epoch`."""
    pca, _ = pca_of(arrays, home() / "references")
    references = references_for(trial.model, arrays, home() / "references")
    phases = build_phases(
        trial.model,
        trial.training,
        input_size=SampleShape(arrays.n_features, arrays.image_shape),
        n_classes=arrays.n_classes,
        references=references,
        statistics=statistics_of(arrays) if needs_statistics(trial.model, arrays) else None,
    )
    data = ArrayDataModule(arrays, batch_size=trial.training.batch_size, seed=trial.training.seed)
    train, last = data.train_sample(N_TRAIN_SAMPLES), phases[-1].member
    examination = Examination(
        trial.model, trial.training, last.network, last.objective, references, pca.mean, len(arrays.valid.inputs)
    )
    if len(phases) == 1:  # after pretraining, the initial network of the last phase is not known
        examination.begin(train)
    last.network.load_state_dict(network.state_dict())
    for number, metrics in history:
        if trial.n_pretraining_epochs < number <= epoch:
            examination.add_epoch(number, metrics)
    return list(examination.findings(train, data.valid_sample(N_VALID_SAMPLES)))


def _what_to_change(finding: Mapping[str, Any]) -> str:
    """Return the advice of a finding as a clause: its changes without the reason, or all of it if it has none."""
    advice: str = finding["advice"]
    clause = advice.partition(": ")[0] if finding.get("change") else advice.removesuffix(".")
    return clause[:1].lower() + clause[1:]


def _names(names: Iterable[str]) -> list[str]:
    """Return each name once, in order: several layers may have the same finding."""
    return list(dict.fromkeys(str(name) for name in names))

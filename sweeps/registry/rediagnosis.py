"""The diagnosis of the network that is promoted: at the epoch that won, which may not be the training's last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweeps.config import TrialConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.build import build_phases
from sweeps.models.diagnosis.examination import N_TRAIN_SAMPLES, N_VALID_SAMPLES, Examination
from sweeps.models.diagnosis.findings import FindingName
from sweeps.models.networks.network import Network
from sweeps.storage.layout import find, home
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.trial.pca_cache import pca_of

History = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Examined:
    """The names of the findings of a network at its `epoch`, and of those found when its training ended.

    `at_end` is None where nothing was found out about the end, which came too early.
    """

    epoch: int
    last_epoch: int
    findings: Sequence[str]
    at_end: Sequence[str] | None


def examine(
    result: SweepResult, ranked: RankedTrial, trial: TrialConfig, arrays: DataArrays, network: Network
) -> Examined:
    """Examine the network that a finished trial has kept, afresh, and tell what its training's end showed.

    Too high a learning rate is a fault of the whole training, and stays one where it shows after the epoch that won.
    Whether it still improved, only its end can tell.
    """
    with Journal.open(find(result.sweep).journal, read_only=True) as journal:
        history = journal.history(ranked.trial)
    at_end = None if ranked.diagnosis is None else _names(finding["name"] for finding in ranked.diagnosis)
    findings = _findings(trial, arrays, network, history, ranked.epoch)
    if FindingName.LEARNING_RATE in (at_end or ()):
        findings = _names([FindingName.LEARNING_RATE, *findings])
    if FindingName.STILL_IMPROVING in findings and FindingName.STILL_IMPROVING not in (at_end or ()):
        findings.remove(FindingName.STILL_IMPROVING)
    return Examined(ranked.epoch, history[-1][0], findings, at_end)


def _findings(trial: TrialConfig, arrays: DataArrays, network: Network, history: History, epoch: int) -> list[str]:
    """The findings of a network that a training had at `epoch`, as its own examination would have found them then."""
    pca, references = pca_of(arrays, home() / "references")
    phases = build_phases(
        trial.model,
        trial.training,
        input_size=arrays.n_features,
        n_classes=arrays.n_classes,
        references=references,
    )
    data = ArrayDataModule(arrays, batch_size=trial.training.batch_size, seed=trial.training.seed)
    train, last = data.train_sample(N_TRAIN_SAMPLES), phases[-1].member
    examination = Examination(
        trial.model, trial.training, last.network, last.objective, references, pca.mean, len(arrays.valid.inputs)
    )
    if len(phases) == 1:  # else the network began from what pre-training made of it, which is gone
        examination.begin(train)
    last.network.load_state_dict(network.state_dict())
    for number, metrics in history:
        if trial.n_pretraining_epochs < number <= epoch:
            examination.add_epoch(number, metrics)
    return _names(finding.name for finding in examination.findings(train, data.valid_sample(N_VALID_SAMPLES)))


def _names(names: Iterable[str]) -> list[str]:
    """Each once, in their order; a fault may be found in several layers."""
    return list(dict.fromkeys(str(name) for name in names))

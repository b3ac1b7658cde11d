"""Measures, saves and reports a point, epoch by epoch."""

import io
import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from datamodules.batches import ArrayDataModule
from models.build import load_network, save_network
from models.config import ModelConfig
from models.errors import DivergedError
from models.examination import N_TRAIN_SAMPLES, N_VALID_SAMPLES, Examination
from models.findings import Finding as FoundFault
from models.network import Network
from models.objectives import Objective
from models.validation import probe
from sweeps import durable
from sweeps.config import ObjectiveConfig
from sweeps.events import (
    HOST_TAG,
    REUSED_EPOCHS,
    STOPPED_EARLY,
    WEIGHTS_TAG,
    EpochEnded,
    Event,
    Figure,
    Finding,
    PointEnded,
    from_plain,
    to_plain,
)
from sweeps.folder import PointFolder
from sweeps.search.objective import best_epoch
from sweeps.search.patience import Patience
from sweeps.snapshots import Snapshots

# Samples trained on, twenty times as many as a diagnosis looks at.
_SAMPLES_BEFORE_EXAMINATION = 20 * N_TRAIN_SAMPLES
SECONDS_BETWEEN_CHECKPOINTS = 30.0
# How long the last epoch waits for a full disk to take the best network: somebody has to free space.
DISK_PATIENCE_SECONDS = 600.0

Findings = tuple[Finding, ...]
# Epoch (None where the point fails), objective so far, events.
Report = Callable[[int | None, float | list[float], list[Event]], None]


@dataclass(frozen=True)
class Plan:
    """What to do at which epoch of a point; epochs are counted over all phases, from 1.

    `identity` stands for the point's settings: what lies in its folder may be of another point that had its id before.
    `n_epochs` are the most that a point takes; with `patience` it may take fewer, for which the last phase's count.
    """

    n_epochs: int
    rungs: frozenset[int] = frozenset()
    n_probe_samples: int = 0
    patience: int | None = None
    n_pretraining_epochs: int = 0
    details: bool = True
    identity: str = ""

    def keeps(self, epoch: int) -> bool:
        """Whether a snapshot and a checkpoint are made: at the start, at powers of two, at rungs and at the end.

        And at the end of pre-training. With `details` the best epoch so far is kept then for its detailed figures.
        """
        return epoch & (epoch - 1) == 0 or epoch == self.n_pretraining_epochs or self.compares(epoch)

    def compares(self, epoch: int) -> bool:
        """Whether the point may end here, and be compared with others by all of its metrics: at rungs and the end."""
        return epoch in self.rungs or epoch == self.n_epochs


class Recorder:
    """Reports each epoch of each phase of one point, after it has saved what the report names.

    Nothing after a report is sure to run: Tune ends a stopped trial inside it.
    """

    def __init__(
        self,
        model: ModelConfig,
        network: Network,
        examination: Examination,
        data: ArrayDataModule,
        objectives: Sequence[ObjectiveConfig],
        plan: Plan,
        folder: PointFolder,
        report: Report,
    ) -> None:
        self.model = model
        self.network = network
        self.examination = examination
        self.data = data
        self.objectives = objectives
        self.plan = plan
        self.folder = folder
        self.report = report
        self.snapshots = Snapshots(folder, data, plan.n_pretraining_epochs)
        self.phase = 0
        self.first_epoch = 0
        self.is_last_phase = False
        # The epoch by which the point is ranked so far, with its metrics: that of the network in `best.pt`.
        self.best: tuple[int, dict[str, float]] | None = None
        self._patience = Patience(plan.patience, objectives[0])
        self._unwritten_best: bytes | None = None
        self._told: float | list[float] = math.nan
        # All that has been told, so that a journal that lost some of it can be told again; and what is told next.
        self._history: list[Event] = []
        self._events: list[Event] = []
        self._epoch = 0
        # What was measured in the phase that runs, epoch by epoch, and how many epochs of all phases were adopted.
        self.phase_metrics: list[dict[str, float]] = []
        self._n_adopted = 0
        # Trained to its end, or as long as patience lasts; then, or when it has failed, there is no more to train.
        self.is_over = False
        self.has_failed = False
        # Whether the end has been reported: what is raised after the last epoch, and before, is that point's failure.
        self.has_told_end = False
        # Whether a checkpoint must be taken before what `end_epoch` has found is told.
        self.must_save = False
        self._examines = False
        self._best_saved: int | None = None
        self._saved_at = time.monotonic()

    def start_phase(self, phase: int, first_epoch: int, *, is_last: bool) -> None:
        """Tell which phase runs next, and how many epochs the phases before it took."""
        self.phase, self.first_epoch, self.is_last_phase = phase, first_epoch, is_last
        self.phase_metrics = []

    def begin(self, objective: Objective, n_epochs: int, device: torch.device) -> None:
        """Start a phase that minimises `objective` and has had `n_epochs`; report epoch 0 where it is the very first.

        That says that the worker is ready, and shows the filters before training.
        """
        self._examines = objective is self.examination.objective
        if self._examines and n_epochs == 0:
            self.examination.begin(self.data.train_sample(N_TRAIN_SAMPLES, device))
        if self.first_epoch + n_epochs == 0:
            self._events = self._events_of(0, {}, self._snapshot(0, device), None)
            self._tell(0)

    def start_epoch(self, epoch: int) -> None:
        """Count the epoch, from 1 within its phase."""
        self._epoch = self.first_epoch + epoch

    def end_epoch(self, metrics: dict[str, float], device: torch.device) -> None:
        """Measure what the training has not, and save what is to be told of the epoch, for `tell`."""
        epoch = self._epoch
        if not self.is_last_phase:
            # A layer's loss on the codes below it is no value to rank by, or to compare with the whole network's.
            metrics = {name.replace("train/", "pretrain/"): value for name, value in metrics.items()}
            self.phase_metrics.append(metrics)
        self._add_probe(metrics, device, wanted=any(ranks.metric == "valid/probe_error" for ranks in self.objectives))
        self.is_over = self._loses_patience(epoch - self.first_epoch, metrics) or epoch == self.plan.n_epochs
        keeps = self.is_over or self.plan.keeps(epoch)
        self._add_probe(metrics, device, wanted=self.is_over or self.plan.compares(epoch))
        self._keep_if_best(epoch, metrics)
        # Tune ends a trial inside the report of a rung: nothing after it is sure to run.
        self._write_best(must=self.is_over or epoch in self.plan.rungs)
        findings = self._examine(epoch, metrics, device, keeps=keeps) if self._examines else None
        figures = self._snapshot(epoch, device) if keeps else ()
        self._events = self._events_of(epoch, metrics, figures, findings)
        self.must_save = bool(figures) or time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS

    def adopt(self, metrics: Sequence[dict[str, float]], device: torch.device) -> None:
        """Report the phase's epochs, which were trained elsewhere with these metrics; the network is as they left it.

        Of what is drawn there is the end alone.
        """
        for epoch, measured in enumerate(metrics, 1):
            self.start_epoch(epoch)
            draws = epoch == len(metrics) and self.plan.keeps(self._epoch)
            figures = self._snapshot(self._epoch, device) if draws else ()
            self._events += self._events_of(self._epoch, measured, figures, None)
        self._n_adopted += len(metrics)
        self._tell(self._epoch)

    @property
    def decides(self) -> bool:
        """Whether somebody acts on the epoch that has ended: the point has ended, or may be stopped at its rung."""
        return self.is_over or self.has_failed or self._epoch in self.plan.rungs

    @property
    def told_at_rung(self) -> float | list[float] | None:
        """The objective so far, where the epoch that has ended is a rung; None where it is not."""
        return self._told if self._epoch in self.plan.rungs and not self.is_over else None

    def stop_early(self, rule: str) -> None:
        """Let the epoch that has ended be the point's last, by the rule named."""
        self.is_over = True
        tags = self._tags() | {STOPPED_EARLY: rule}
        self._events = [*self._events, PointEnded(point_id=self.folder.point_id, tags=tags)]

    def tell(self) -> None:
        """Report the epoch that has ended."""
        if self.is_over:
            self._keep_end(self._epoch, self._told)
        self._tell(self._epoch)
        self.has_told_end = self.is_over

    def tell_end_again(self) -> bool:
        """Report again all that was told of a point that has ended by itself; False where it has not."""
        if not self.folder.end.exists():
            return False
        end = json.loads(self.folder.end.read_text())
        if end["identity"] != self.plan.identity:
            return False
        self.report(end["epoch"], end["objective"], from_plain(end["events"]))
        return True

    def fail(self, error: Exception) -> None:
        """Report what ended the point: values of the epoch in progress that were not finite, or whatever was raised."""
        self.has_failed = True
        if isinstance(error, DivergedError):
            layer = None if self._examines else self.phase
            found = self.examination.findings_of_divergence(self._epoch, layer)
            self._report_failure(" ".join(str(error).split()), {}, _plain(found))
            return
        logging.getLogger(__name__).error("Trial %s failed", self.folder.point_id, exc_info=error)
        self._report_failure(reason_of(error), self._tags(), None)

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint must hold beyond the phase that Lightning knows, as plain values and tensors."""
        self._saved_at = time.monotonic()
        return {
            "identity": self.plan.identity,
            "phase": self.phase,
            "epoch": self._epoch,
            "network": self.network.state_dict(),
            "examination": self.examination.state(),
            "best": self.best,
            "unwritten_best": self._unwritten_best,
            "patience": self._patience.state(),
            "is_over": self.is_over,
            "adopted": self._n_adopted,
            "told": self._told,
            "events": to_plain([*self._history, *self._events]),
        }

    def resume(self, state: dict[str, Any]) -> bool:
        """Go on from what `state` gave; False where the point had ended.

        All that was told is reported again: the driver may have been lost before it was recorded.
        """
        self.network.load_state_dict(state["network"])
        self.examination.restore(state["examination"])
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self._unwritten_best = state["unwritten_best"]
        self._patience.restore(state["patience"])
        self._told = state["told"]
        self._n_adopted = state["adopted"]
        self._events = from_plain(state["events"])
        self._tell(state["epoch"])
        self.is_over = self.has_told_end = bool(state["is_over"])
        return not self.is_over

    def _report_failure(self, reason: str, tags: dict[str, str], findings: Findings | None) -> None:
        self._events = [
            PointEnded(point_id=self.folder.point_id, failed=True, reason=reason, tags=tags, findings=findings)
        ]
        self._told = math.nan
        self._keep_end(None, self._told)
        self._tell(None)
        self.has_told_end = True

    def _tell(self, epoch: int | None) -> None:
        told, self._events = self._events, []
        self._history += told
        self.report(epoch, self._told, told)

    def _keep_end(self, epoch: int | None, objective: float | list[float]) -> None:
        """Keep all that is told: should its pack or the driver be lost, the point is not trained again."""
        events = to_plain([*self._history, *self._events])
        end = {"identity": self.plan.identity, "epoch": epoch, "objective": objective, "events": events}
        durable.write(self.folder.end, json.dumps(end).encode())

    def _events_of(
        self, epoch: int, metrics: dict[str, float], figures: tuple[Figure, ...], findings: Findings | None
    ) -> list[Event]:
        """What is told of an epoch, and at the last one that the point has ended."""
        point_id = self.folder.point_id
        ended = EpochEnded(
            point_id=point_id, epoch=epoch, metrics=metrics, figures=figures, findings=findings, worker=_worker()
        )
        if not self.is_over:
            return [ended]
        early = {STOPPED_EARLY: "patience"} if epoch < self.plan.n_epochs else {}
        return [ended, PointEnded(point_id=point_id, findings=findings, tags=self._tags() | early)]

    def _tags(self) -> dict[str, str]:
        """What a run says of how it was trained."""
        shapes = ", ".join(f"{n_inputs}×{n_units}" for n_units, n_inputs in (w.shape for w in self.network.weights()))
        told = {HOST_TAG: platform.node(), WEIGHTS_TAG: shapes}
        return told | ({REUSED_EPOCHS: str(self._n_adopted)} if self._n_adopted else {})

    def _loses_patience(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Whether the point ends with this epoch of its last phase, which has been validated, before its last one."""
        return self.is_last_phase and "valid/mse" in metrics and self._patience.is_over(epoch, metrics)

    def _examine(self, epoch: int, metrics: dict[str, float], device: torch.device, *, keeps: bool) -> Findings | None:
        """Diagnose the network as it is now: at the end it is replaced by that of its best epoch.

        Before that only once the training has taken so long that the diagnosis takes little beside it.
        """
        self.examination.add_epoch(epoch, metrics)
        n_seen = (epoch - self.first_epoch) * len(self.data.arrays.train)
        if not (self.is_over or self.plan.compares(epoch) or (keeps and n_seen >= _SAMPLES_BEFORE_EXAMINATION)):
            return None
        train = self.data.train_sample(N_TRAIN_SAMPLES, device)
        return _plain(self.examination.findings(train, self.data.valid_sample(N_VALID_SAMPLES, device)))

    def _keep_if_best(self, epoch: int, metrics: dict[str, float]) -> None:
        """Keep the network of the epoch that counts so far, by the rule that ranks the points in the end."""
        before = [] if self.best is None else [self.best]
        score = best_epoch([*before, (epoch, metrics)], self.objectives)
        if score is None:
            return
        self._told = list(score.values) if len(score.values) > 1 else score.values[0]
        if score.epoch == epoch:
            self.best = (epoch, metrics)
            content = io.BytesIO()
            save_network(content, self.model, self.network)
            self._unwritten_best = content.getvalue()

    def _write_best(self, *, must: bool) -> None:
        """Write the best network; on a full disk after a later epoch, and where it `must` be there wait for space."""
        if self._unwritten_best is None:
            return
        patience = DISK_PATIENCE_SECONDS if must else 0.0
        if durable.write(self.folder.best_network, self._unwritten_best, patience):
            self._unwritten_best = None
        elif must:
            where = self.folder.path
            raise OSError(f"{where} has had no space for the best network for {patience:g} s: free some there")

    def _add_probe(self, metrics: dict[str, float], device: torch.device, *, wanted: bool) -> None:
        """The probe costs more than an epoch of a small model: take it where it ranks, else where the point may end."""
        if wanted and self.plan.n_probe_samples and "valid/mse" in metrics and "valid/probe_error" not in metrics:
            metrics["valid/probe_error"] = self._probe(device)

    def _probe(self, device: torch.device) -> float:
        """Fit the linear classifier on codes of training samples and measure it on the validation split's."""
        labels = self.data.valid_labels()
        assert labels is not None
        train = self.data.train_sample(self.plan.n_probe_samples, device)
        return probe(self.network, train, self.data.valid_inputs(device), labels)

    def _snapshot(self, epoch: int, device: torch.device) -> tuple[Figure, ...]:
        """Save the arrays that figures are drawn from; the drawing is the driver's. None where the disk is full."""
        if self.plan.details and self.best is not None and self._unwritten_best is None:
            self._save_best_arrays(self.best[0], is_current=self.best[0] == epoch, device=device)
        return self.snapshots.save(epoch, self.network, device)

    def _save_best_arrays(self, best: int, *, is_current: bool, device: torch.device) -> None:
        """Save what detailed figures show of the best epoch, once."""
        if best == self._best_saved:
            return
        if is_current:
            is_saved = self.snapshots.save_best(best, self.network, device)
        else:
            is_saved = self.snapshots.save_best(best, load_network(self.folder.best_network))
        if is_saved:
            self._best_saved = best


def reason_of(error: Exception) -> str:
    """What was raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _plain(findings: Sequence[FoundFault]) -> Findings:
    return tuple(Finding(name=str(f.name), evidence=dict(f.evidence), advice=f.advice) for f in findings)

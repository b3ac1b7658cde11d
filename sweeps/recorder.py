"""The Lightning callback that measures, saves and reports a point epoch by epoch."""

import io
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Checkpoint

from datamodules.batches import ArrayDataModule
from models.autoencoder import Autoencoder
from models.build import load_network, save_network
from models.config import ModelConfig
from models.diagnosis import Finding as FoundFault
from models.examination import N_TRAIN_SAMPLES, N_VALID_SAMPLES, Examination
from models.network import Network
from models.validation import probe
from sweeps import durable
from sweeps.config import ObjectiveConfig
from sweeps.events import HOST_TAG, STOPPED_EARLY, EpochEnded, Event, Figure, Finding, PointEnded, from_plain, to_plain
from sweeps.folder import PointFolder
from sweeps.search.objective import best_epoch
from sweeps.search.patience import Patience
from sweeps.snapshots import Snapshots

SECONDS_BETWEEN_CHECKPOINTS = 30.0
# How long the last epoch waits for a full disk to take the best network: somebody has to free space.
DISK_PATIENCE_SECONDS = 600.0

Findings = tuple[Finding, ...]
# Epoch (None where the point fails), objective so far, events.
Report = Callable[[int | None, float | list[float], list[Event]], None]


@dataclass(frozen=True)
class Plan:
    """What to do at which epoch of a point; epochs are counted over all phases, from 1.

    `n_epochs` are the most that a point takes; with `patience` it may take fewer, for which the last phase's count.
    """

    n_epochs: int
    rungs: frozenset[int] = frozenset()
    n_probe_samples: int = 0
    patience: int | None = None
    n_pretraining_epochs: int = 0
    details: bool = True

    def keeps(self, epoch: int) -> bool:
        """Whether a snapshot, a checkpoint and a diagnosis are made: at the start, powers of two, rungs and the end.

        And at the end of pre-training. With `details` the best epoch so far is kept then for its detailed figures.
        """
        return epoch & (epoch - 1) == 0 or epoch in self.rungs or epoch in (self.n_pretraining_epochs, self.n_epochs)


class Recorder(Checkpoint):
    """Reports each epoch of each phase, after it has saved what the report names.

    Nothing after a report is sure to run: Tune ends a stopped trial inside it. A Checkpoint callback because Lightning
    calls those last, when the epoch's metrics are complete.
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
        self._events: list[Event] = []
        self._epoch = 0
        self._is_over = False
        self._examines = False
        self._best_saved: int | None = None
        self._saved_at = time.monotonic()

    def start_phase(self, phase: int, first_epoch: int, *, is_last: bool) -> None:
        """Tell which phase runs next, and how many epochs the phases before it took."""
        self.phase, self.first_epoch, self.is_last_phase = phase, first_epoch, is_last

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Report epoch 0: the worker is ready, and these are the filters before training."""
        assert isinstance(pl_module, Autoencoder)
        device = trainer.strategy.root_device
        self._examines = pl_module.objective is self.examination.objective
        if self._examines and trainer.current_epoch == 0:
            self.examination.begin(self.data.train_sample(N_TRAIN_SAMPLES, device))
        if self.first_epoch + trainer.current_epoch == 0:
            self.report(0, self._told, self._events_of(0, {}, self._snapshot(0, device), None))

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count the epoch, and forget what the one before measured: not every epoch is validated."""
        assert isinstance(pl_module, Autoencoder)
        pl_module.metrics.clear()
        self._epoch = self.first_epoch + trainer.current_epoch + 1

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure what Lightning's loops have not, save, then report."""
        assert isinstance(pl_module, Autoencoder)
        device = trainer.strategy.root_device
        epoch, metrics = self._epoch, dict(pl_module.metrics)
        if not self.is_last_phase:
            # A layer's loss on the codes below it is no value to rank by, or to compare with the whole network's.
            metrics = {name.replace("train/", "pretrain/"): value for name, value in metrics.items()}
        self._add_probe(metrics, device, wanted=any(ranks.metric == "valid/probe_error" for ranks in self.objectives))
        trainer.should_stop |= self._loses_patience(trainer.current_epoch + 1, metrics)
        self._is_over = epoch == self.plan.n_epochs or trainer.should_stop
        keeps = self._is_over or self.plan.keeps(epoch)
        self._add_probe(metrics, device, wanted=keeps)
        self._keep_if_best(epoch, metrics)
        self._write_best(is_last=self._is_over)
        findings = self._examine(epoch, metrics, device, keeps=keeps) if self._examines else None
        figures = self._snapshot(epoch, device) if keeps else ()
        self._events = self._events_of(epoch, metrics, figures, findings)
        if figures or time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._save(trainer)
        self.report(epoch, self._told, self._events)

    def report_divergence(self, reason: str) -> None:
        """Report that values of the epoch in progress were not finite, which ends the point."""
        found = self.examination.findings_of_divergence(self._epoch, pretraining=not self._examines)
        ended = PointEnded(point_id=self.folder.point_id, failed=True, reason=reason, findings=_plain(found))
        self.report(None, math.nan, [ended])

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add to Lightning's checkpoint what goes beyond the phase that it knows."""
        checkpoint["sweeps"] = {
            "phase": self.phase,
            "epoch": self._epoch,
            "network": self.network.state_dict(),
            "examination": self.examination.state(),
            "best": self.best,
            "patience": self._patience.state(),
            "is_over": self._is_over,
            "told": self._told,
            "events": to_plain(self._events),
        }

    def resume(self, state: dict[str, Any]) -> bool:
        """Go on from what `on_save_checkpoint` added; False where the point had ended.

        The checkpoint's epoch is reported again, for the process may have been lost before its report arrived.
        """
        self.network.load_state_dict(state["network"])
        self.examination.restore(state["examination"])
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self._patience.restore(state["patience"])
        self._told = state["told"]
        self.report(state["epoch"], self._told, from_plain(state["events"]))
        return not state["is_over"]

    def _events_of(
        self, epoch: int, metrics: dict[str, float], figures: tuple[Figure, ...], findings: Findings | None
    ) -> list[Event]:
        """What is told of an epoch, and at the last one that the point has ended."""
        point_id = self.folder.point_id
        ended = EpochEnded(
            point_id=point_id, epoch=epoch, metrics=metrics, figures=figures, findings=findings, worker=_worker()
        )
        if not self._is_over:
            return [ended]
        early = {STOPPED_EARLY: "patience"} if epoch < self.plan.n_epochs else {}
        return [ended, PointEnded(point_id=point_id, findings=findings, tags={HOST_TAG: platform.node()} | early)]

    def _loses_patience(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Whether the point ends with this epoch of its last phase, which has been validated, before its last one."""
        return self.is_last_phase and "valid/mse" in metrics and self._patience.is_over(epoch, metrics)

    def _examine(self, epoch: int, metrics: dict[str, float], device: torch.device, *, keeps: bool) -> Findings | None:
        """Diagnose the network as it is now: at the end it is replaced by that of its best epoch."""
        self.examination.add_epoch(epoch, metrics)
        if not keeps:
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

    def _write_best(self, *, is_last: bool) -> None:
        """Write the best network; on a full disk after a later epoch, and at the last one wait for space."""
        if self._unwritten_best is None:
            return
        patience = DISK_PATIENCE_SECONDS if is_last else 0.0
        if durable.write(self.folder.best_network, self._unwritten_best, patience):
            self._unwritten_best = None
        elif is_last:
            where = self.folder.path
            raise OSError(f"{where} has had no space for the best network for {patience:g} s: free some there")

    def _add_probe(self, metrics: dict[str, float], device: torch.device, *, wanted: bool) -> None:
        """The probe costs more than an epoch of a small model: take it where it ranks, else where figures are kept."""
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

    def _save(self, trainer: lightning.Trainer) -> None:
        """Write the last checkpoint; on a full disk the one before stays."""
        with durable.unless_full(), durable.whole(self.folder.checkpoint) as partial:
            trainer.save_checkpoint(partial)
        self._saved_at = time.monotonic()


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _plain(findings: Sequence[FoundFault]) -> Findings:
    return tuple(Finding(name=str(f.name), evidence=dict(f.evidence), advice=f.advice) for f in findings)

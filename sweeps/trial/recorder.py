"""Measures, saves and reports a point, epoch by epoch."""

import logging
import math
import platform
import time
from collections.abc import Sequence
from typing import Any

import torch

from sweeps.config import ObjectiveConfig
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.config import ModelConfig
from sweeps.models.diagnosis.examination import N_TRAIN_SAMPLES, N_VALID_SAMPLES, Examination
from sweeps.models.diagnosis.findings import Finding
from sweeps.models.errors import DivergedError
from sweeps.models.networks.network import Network
from sweeps.models.training.objectives import Objective
from sweeps.models.training.validation import probe
from sweeps.search.early_stopping import Patience
from sweeps.storage.layout import PointFolder
from sweeps.trial.best_checkpoint import BestNetwork
from sweeps.trial.epoch_schedule import EpochSchedule
from sweeps.trial.event_log import EventLog, Report
from sweeps.trial.events import HOST_TAG, REUSED_EPOCHS, STOPPED_EARLY, WEIGHTS_TAG, Figure
from sweeps.trial.snapshots import Snapshots

# Samples trained on, twenty times as many as a diagnosis looks at.
_SAMPLES_BEFORE_EXAMINATION = 20 * N_TRAIN_SAMPLES
SECONDS_BETWEEN_CHECKPOINTS = 30.0


class Recorder:
    """Measures each epoch of each phase of one point, and tells it once what a report names is saved.

    What is told is reported with other points', now or with an epoch to come; nothing after a report is sure to run.
    """

    def __init__(
        self,
        model: ModelConfig,
        network: Network,
        examination: Examination,
        data: ArrayDataModule,
        objectives: Sequence[ObjectiveConfig],
        plan: EpochSchedule,
        folder: PointFolder,
        report: Report,
    ) -> None:
        self.network = network
        self.examination = examination
        self.data = data
        self.objectives = objectives
        self.plan = plan
        self.folder = folder
        self.snapshots = Snapshots(folder, data, plan.n_pretraining_epochs)
        self.phase = 0
        self.first_epoch = 0
        self.is_last_phase = False
        self._best = BestNetwork(model, network, objectives, folder)
        self._log = EventLog(folder, plan.identity, report)
        self._patience = Patience(plan.patience, objectives[0])
        self._epoch = 0
        # What was measured in the phase that runs, epoch by epoch, and how many epochs of all phases were adopted.
        self.phase_metrics: list[dict[str, float]] = []
        self._n_adopted = 0
        # Trained to its end, or as long as patience lasts; then, or when it has failed, there is no more to train.
        self.is_over = False
        self.has_failed = False
        # Whether the end has been reported: what is raised after the last epoch, and before, is that point's failure.
        self.has_told_end = False
        # Whether the epoch that has ended is the last by the point's own plan: a later start finds the same end again.
        self.has_run_out = False
        # Whether a checkpoint must be taken before what `end_epoch` has found is told.
        self.must_save = False
        self._examines = False
        self._is_compared = False
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
            self._add_epoch(0, {}, self.snapshots.save(0, self.network, device))
            self._log.tell(0, self._best.objective)

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
        self.has_run_out = self._loses_patience(epoch - self.first_epoch, metrics) or epoch == self.plan.n_epochs
        self.is_over = self.has_run_out
        keeps = self.is_over or self.plan.keeps(epoch)
        self._add_probe(metrics, device, wanted=self.is_over or self.plan.compares(epoch))
        had_objective = self._best.has_objective
        self._best.keep_if_best(epoch, metrics)
        # A rung without a value passes; the first value after it is compared in its place.
        is_late = not had_objective and self._best.has_objective and any(rung < epoch for rung in self.plan.rungs)
        self._is_compared = epoch in self.plan.rungs or is_late
        findings = self._examine(epoch, metrics, device, keeps=keeps) if self._examines else None
        figures = self.snapshots.save(epoch, self.network, device) if keeps else ()
        self._add_epoch(epoch, metrics, figures, findings)
        is_due = bool(figures) or time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS
        self.must_save = is_due and not self.has_run_out

    def keep_best(self, device: torch.device) -> None:
        """Write the best network, and what detailed figures show of it: where a report follows, so that both agree."""
        self._best.write(must=self.decides)
        if self.plan.details and (self.is_over or self.plan.keeps(self._epoch)):
            self._best.save_arrays(self.snapshots, self._epoch, device)

    def adopt(self, metrics: Sequence[dict[str, float]], device: torch.device) -> None:
        """Report the phase's epochs, which were trained elsewhere with these metrics; the network is as they left it.

        Of what is drawn there is the end alone.
        """
        for epoch, measured in enumerate(metrics, 1):
            self.start_epoch(epoch)
            draws = epoch == len(metrics) and self.plan.keeps(self._epoch)
            figures = self.snapshots.save(self._epoch, self.network, device) if draws else ()
            self._add_epoch(self._epoch, measured, figures)
        self._n_adopted += len(metrics)
        self._log.tell(self._epoch, self._best.objective)

    @property
    def decides(self) -> bool:
        """Whether somebody acts on the epoch that has ended: the point has ended, or may be stopped at a rung."""
        return self.is_over or self.has_failed or self._is_compared

    @property
    def told_at_rung(self) -> float | list[float] | None:
        """The objective so far, where the epoch that has ended is a rung; None where it is not."""
        return self._best.objective if self._epoch in self.plan.rungs and not self.is_over else None

    def stop_early(self, rule: str) -> None:
        """Let the epoch that has ended be the point's last, by the rule named."""
        self.is_over = True
        self._log.add_end(self._tags() | {STOPPED_EARLY: rule})

    def tell(self) -> None:
        """Give the epoch that has ended to what reports it."""
        tell = self._log.tell_end if self.is_over else self._log.tell
        tell(self._epoch, self._best.objective)
        self.has_told_end = self.is_over

    def tell_end_again(self) -> bool:
        """Report again all that was told of a point that has ended by itself; False where it has not."""
        return self._log.tell_end_again()

    def fail(self, error: Exception) -> None:
        """Report what ended the point: values of the epoch in progress that were not finite, or whatever was raised."""
        self.has_failed = True
        if isinstance(error, DivergedError):
            layer = None if self._examines else self.phase
            found = self.examination.findings_of_divergence(self._epoch, layer)
            self._log.add_failure(" ".join(str(error).split()), {}, found)
        else:
            logging.getLogger(__name__).error("Trial %s failed", self.folder.point_id, exc_info=error)
            self._log.add_failure(reason_of(error), self._tags())
        self._log.tell_end(None, math.nan)
        self.has_told_end = True

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint must hold beyond the phase that Lightning knows, as plain values and tensors."""
        self._saved_at = time.monotonic()
        return {
            "identity": self.plan.identity,
            "phase": self.phase,
            "epoch": self._epoch,
            "network": self.network.state_dict(),
            "examination": self.examination.state(),
            "patience": self._patience.state(),
            "is_over": self.is_over,
            "adopted": self._n_adopted,
            "events": self._log.state(),
            **self._best.state(),
        }

    def resume(self, state: dict[str, Any]) -> bool:
        """Go on from what `state` gave; False where the point had ended.

        All that was told is reported again: the driver may have been lost before it was recorded.
        """
        self.network.load_state_dict(state["network"])
        self.examination.restore(state["examination"])
        self._best.restore(state)
        self._patience.restore(state["patience"])
        self._n_adopted = state["adopted"]
        self._log.restore(state["events"])
        self._log.tell(state["epoch"], self._best.objective)
        self.is_over = self.has_told_end = bool(state["is_over"])
        return not self.is_over

    def _add_epoch(
        self,
        epoch: int,
        metrics: dict[str, float],
        figures: tuple[Figure, ...],
        findings: Sequence[Finding] | None = None,
    ) -> None:
        """Let the log tell of an epoch, and at the last one that the point has ended."""
        self._log.add_epoch(epoch, metrics, figures, findings)
        if self.is_over:
            early = {STOPPED_EARLY: "patience"} if epoch < self.plan.n_epochs else {}
            self._log.add_end(self._tags() | early, findings)

    def _tags(self) -> dict[str, str]:
        """What a run says of how it was trained."""
        shapes = ", ".join(f"{n_inputs}×{n_units}" for n_units, n_inputs in (w.shape for w in self.network.weights()))
        told = {HOST_TAG: platform.node(), WEIGHTS_TAG: shapes}
        return told | ({REUSED_EPOCHS: str(self._n_adopted)} if self._n_adopted else {})

    def _loses_patience(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Whether the point ends with this epoch of its last phase, which has been validated, before its last one."""
        return self.is_last_phase and "valid/mse" in metrics and self._patience.is_over(epoch, metrics)

    def _examine(
        self, epoch: int, metrics: dict[str, float], device: torch.device, *, keeps: bool
    ) -> list[Finding] | None:
        """Diagnose the network as it is now: at the end it is replaced by that of its best epoch.

        Before that only once the training has taken so long that the diagnosis takes little beside it.
        """
        self.examination.add_epoch(epoch, metrics)
        n_seen = (epoch - self.first_epoch) * len(self.data.arrays.train)
        if not (self.is_over or self.plan.compares(epoch) or (keeps and n_seen >= _SAMPLES_BEFORE_EXAMINATION)):
            return None
        train = self.data.train_sample(N_TRAIN_SAMPLES, device)
        return self.examination.findings(train, self.data.valid_sample(N_VALID_SAMPLES, device))

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


def reason_of(error: Exception) -> str:
    """What was raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

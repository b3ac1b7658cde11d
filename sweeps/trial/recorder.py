"""Record one point, epoch by epoch: measure, save, then report."""

import logging
import math
import platform
import time
from collections.abc import Sequence
from typing import Any

import torch

from sweeps.errors import reason_of
from sweeps.models.diagnosis.examination import N_TRAIN_SAMPLES
from sweeps.models.diagnosis.findings import Finding
from sweeps.models.errors import DivergedError
from sweeps.models.training.objectives import Objective
from sweeps.search.stopping import DIVERGED, STOPPED_BY, STOPPED_EARLY
from sweeps.storage.layout import PointFolder
from sweeps.trial.best_checkpoint import BestNetwork
from sweeps.trial.event_log import EventLog
from sweeps.trial.events import HOST_TAG, REUSED_EPOCHS, WEIGHTS_TAG, FigureSaved
from sweeps.trial.measurements import Measurements
from sweeps.trial.point_progress import Ending, PointProgress
from sweeps.trial.snapshots import Snapshots

# To cost little, a diagnosis before the end waits for training on twenty times as many samples as it uses itself.
_SAMPLES_BEFORE_DIAGNOSIS = 20 * N_TRAIN_SAMPLES
SECONDS_BETWEEN_CHECKPOINTS = 30.0


class Recorder:
    """Record one point through its parts: progress, measurements, best network, snapshots and event log.

    Files that a report names are saved before it: the process may end with any report.
    """

    def __init__(
        self,
        progress: PointProgress,
        measurements: Measurements,
        best: BestNetwork,
        snapshots: Snapshots,
        log: EventLog,
    ) -> None:
        self.progress = progress
        self.measurements = measurements
        self.best = best
        self.snapshots = snapshots
        self.log = log
        # The metrics of the current phase, epoch by epoch: the layer cache keeps them with the layer.
        self.phase_metrics: list[dict[str, float]] = []
        # Whether a checkpoint must be written before the epoch is reported.
        self.must_save = False
        self._n_adopted_epochs = 0
        self._is_compared = False
        self._saved_at = time.monotonic()

    @property
    def folder(self) -> PointFolder:
        """The point's folder."""
        return self.snapshots.folder

    @property
    def decides(self) -> bool:
        """Whether the epoch decides something: the point has ended, or may be stopped at a rung."""
        return self.progress.ending is not None or self._is_compared

    @property
    def objective_at_rung(self) -> float | list[float] | None:
        """The best objective so far where the epoch is a rung and the point has not ended, else None."""
        return self.best.objective if self.progress.is_at_rung and not self.progress.is_over else None

    def start_phase(self, phase: int, n_epochs_before: int, *, is_last: bool) -> None:
        """Start a phase, after `n_epochs_before` epochs of the phases before it."""
        self.progress.start_phase(phase, n_epochs_before, is_last=is_last)
        self.phase_metrics = []

    def begin_training(self, objective: Objective, n_epochs: int, device: torch.device) -> None:
        """Begin or resume, after `n_epochs`, the training of a phase that minimizes `objective`.

        Before the very first epoch, report epoch 0: the worker is ready, and the untrained filters are saved.
        """
        self.measurements.begin_phase(objective, n_epochs, device)
        if self.progress.n_epochs_before + n_epochs == 0:
            self.log.add_epoch(0, {}, self.snapshots.save(0, self.measurements.network, device))
            self.log.report(0, self.best.objective)

    def start_epoch(self, epoch: int) -> None:
        """Start an epoch, counted from 1 within its phase."""
        self.progress.start_epoch(epoch)

    def end_epoch(self, metrics: dict[str, float], device: torch.device) -> None:
        """Add the remaining measurements, and save the files that `report_epoch` will name."""
        if not self.progress.is_last_phase:
            # A layer's loss ranks no point and is not comparable with the loss of the whole network.
            metrics = {name.replace("train/", "pretrain/"): value for name, value in metrics.items()}
            self.phase_metrics.append(metrics)
        if any(objective.metric == "valid/probe_error" for objective in self.best.objectives):
            self.measurements.add_probe(metrics, device)
        self.progress.end_epoch(metrics)
        if self.progress.is_compared:  # only then: a probe costs more than an epoch of a small network
            self.measurements.add_probe(metrics, device)
        self._follow_best(metrics)
        findings = self._diagnose(metrics, device)
        figures: tuple[FigureSaved, ...] = ()
        if self.progress.is_kept or self._is_compared:
            figures = self.snapshots.save(self.progress.epoch, self.measurements.network, device)
            figures += self.best.save_snapshot(self.snapshots, self.progress.schedule, self.progress.epoch)
        self._log_epoch(metrics, figures, findings)
        is_due = bool(figures) or time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS
        self.must_save = is_due and self.progress.ending is not Ending.COMPLETED

    def keep_best(self, device: torch.device) -> None:
        """Write the best network and the arrays of its detailed figures, before a report names their epoch."""
        self.best.write(must=self.decides)
        self.best.save_sample_values(self.measurements, self.progress.epoch, device)
        if self.progress.schedule.details and self.progress.is_kept:
            self.best.save_arrays(self.snapshots, self.progress.epoch, device)

    def adopt_phase(self, metrics: Sequence[dict[str, float]], device: torch.device) -> None:
        """Report a phase that another point trained, with its metrics; the network already holds the result.

        Only the end of the phase leaves a snapshot.
        """
        for epoch, measured in enumerate(metrics, 1):
            self.start_epoch(epoch)
            figures: tuple[FigureSaved, ...] = ()
            if epoch == len(metrics) and self.progress.is_kept:
                figures = self.snapshots.save(self.progress.epoch, self.measurements.network, device)
            self._log_epoch(measured, figures)
        self._n_adopted_epochs += len(metrics)
        self.log.report(self.progress.epoch, self.best.objective)

    def stop_early(self, rule: str) -> None:
        """End the point with the current epoch; `rule` names what stopped it."""
        self.progress.ending = Ending.STOPPED
        self.log.add_end(self._run_tags() | {STOPPED_EARLY: rule})

    def report_epoch(self) -> None:
        """Report the epoch that has ended, and the end of the point with its last epoch."""
        report = self.log.report_end if self.progress.is_over else self.log.report
        report(self.progress.epoch, self.best.objective)

    def report_end_again(self) -> bool:
        """Report again a point that an earlier process trained to its end; return False if there is none."""
        return self.log.report_end_again()

    def fail(self, error: Exception) -> None:
        """Report the error that ended the point; a divergence is diagnosed."""
        self.progress.ending = Ending.FAILED
        if isinstance(error, DivergedError):
            findings = self.measurements.diagnose_divergence(self.progress.epoch, self.progress.phase)
            self.log.add_failure(" ".join(str(error).split()), {STOPPED_BY: DIVERGED}, findings)
        else:
            logging.getLogger(__name__).error("Trial %s failed", self.folder.point_id, exc_info=error)
            self.log.add_failure(reason_of(error), self._run_tags())
        self.log.report_end(None, math.nan)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold in addition to Lightning's state, as plain values and tensors."""
        self._saved_at = time.monotonic()
        return {
            "identity": self.log.identity,
            "phase": self.progress.phase,
            "epoch": self.progress.epoch,
            "network": self.measurements.network.state_dict(),
            "examination": self.measurements.state(),
            "patience": self.progress.patience.state(),
            "is_over": self.progress.is_over,
            "adopted": self._n_adopted_epochs,
            "events": self.log.state(),
            **self.best.state(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned, and report all of it again: the driver may have lost it."""
        self.measurements.network.load_state_dict(state["network"])
        self.measurements.restore(state["examination"])
        self.best.restore(state)
        self.progress.patience.restore(state["patience"])
        self._n_adopted_epochs = state["adopted"]
        self.log.restore(state["events"])
        self.log.report(state["epoch"], self.best.objective)
        if state["is_over"]:
            self.progress.ending = Ending.STOPPED  # a completed point leaves no checkpoint
            self.log.has_reported_end = True

    def _follow_best(self, metrics: dict[str, float]) -> None:
        had_objective = self.best.has_objective
        self.best.keep_if_best(self.progress.epoch, metrics)
        # A point without a value passes a rung; its first value after the rung is compared in its place.
        is_late = (
            not had_objective
            and self.best.has_objective
            and any(rung < self.progress.epoch for rung in self.progress.schedule.rungs)
        )
        self._is_compared = self.progress.is_at_rung or is_late

    def _diagnose(self, metrics: dict[str, float], device: torch.device) -> list[Finding] | None:
        """Diagnose the network as it is now, not as it was at its best epoch; None if no diagnosis is due."""
        if not self.measurements.diagnoses:
            return None
        self.measurements.add_epoch(self.progress.epoch, metrics)
        n_seen = self.progress.epoch_in_phase * len(self.measurements.data.arrays.train)
        is_cheap = self.progress.is_kept and n_seen >= _SAMPLES_BEFORE_DIAGNOSIS
        return self.measurements.diagnose(device) if self.progress.is_compared or is_cheap else None

    def _log_epoch(
        self, metrics: dict[str, float], figures: tuple[FigureSaved, ...], findings: Sequence[Finding] | None = None
    ) -> None:
        self.log.add_epoch(self.progress.epoch, metrics, figures, findings)
        if self.progress.is_over:
            early = {STOPPED_EARLY: "patience"} if self.progress.epoch < self.progress.schedule.n_epochs else {}
            self.log.add_end(self._run_tags() | early, findings)

    def _run_tags(self) -> dict[str, str]:
        shapes = ", ".join(map(_shape, self.measurements.network.weights()))
        tags = {HOST_TAG: platform.node(), WEIGHTS_TAG: shapes}
        return tags | ({REUSED_EPOCHS: str(self._n_adopted_epochs)} if self._n_adopted_epochs else {})


def _shape(weight: torch.Tensor) -> str:
    """Return a shape as inputs×units, followed by the sizes of a kernel; weights of a plug-in may have fewer axes."""
    units, inputs, kernel = weight.shape[:1], weight.shape[1:2], weight.shape[2:]
    return "×".join(map(str, (*inputs, *units, *kernel))) or "1"

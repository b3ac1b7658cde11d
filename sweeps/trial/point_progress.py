"""A point's progress through its training, and when it ends."""

from collections.abc import Mapping
from enum import StrEnum

from sweeps.search.patience import Patience
from sweeps.trial.epoch_schedule import EpochSchedule


class Ending(StrEnum):
    """Why a point has stopped training."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


class PointProgress:
    """Follow a point through its phases and epochs. Epochs count over all phases, from 1."""

    def __init__(self, schedule: EpochSchedule, patience: Patience) -> None:
        self.schedule = schedule
        self.patience = patience
        self.phase = 0
        self.epoch = 0
        self.n_epochs_before = 0
        self.is_last_phase = False
        self.ending: Ending | None = None

    def start_phase(self, phase: int, n_epochs_before: int, *, is_last: bool) -> None:
        """Start a phase, after `n_epochs_before` epochs of the phases before it."""
        self.phase, self.n_epochs_before, self.is_last_phase = phase, n_epochs_before, is_last

    def start_epoch(self, epoch: int) -> None:
        """Start an epoch, counted from 1 within its phase."""
        self.epoch = self.n_epochs_before + epoch

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """End an epoch: the training is complete after the last one, or once a validated epoch exhausts patience."""
        is_out_of_patience = (
            self.is_last_phase and "valid/mse" in metrics and self.patience.is_over(self.epoch_in_phase, metrics)
        )
        if is_out_of_patience or self.epoch == self.schedule.n_epochs:
            self.ending = Ending.COMPLETED

    @property
    def epoch_in_phase(self) -> int:
        """The epoch, counted from 1 within its phase."""
        return self.epoch - self.n_epochs_before

    @property
    def is_over(self) -> bool:
        """Whether the training ended well: completed, or stopped early at a rung."""
        return self.ending in (Ending.COMPLETED, Ending.STOPPED)

    @property
    def is_at_rung(self) -> bool:
        """Whether the epoch is a rung of early stopping."""
        return self.epoch in self.schedule.rungs

    @property
    def is_kept(self) -> bool:
        """Whether the epoch leaves a snapshot."""
        return self.is_over or self.schedule.keeps(self.epoch)

    @property
    def is_compared(self) -> bool:
        """Whether other points may be compared with this epoch by any metric: at rungs and at the end."""
        return self.is_over or self.schedule.compares(self.epoch)

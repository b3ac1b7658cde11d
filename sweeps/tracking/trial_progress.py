"""The progress of one trial: its epochs, the time they took, and the curve of its objective."""

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState

MAX_CURVE_VALUES = 64
_N_RECENT = 5


@dataclass
class TrialProgress:
    """A trial so far. `value` is what ranks it now, reached at `best_epoch`; `last_value` is the newest.

    `curve` holds the objective over epochs, thinned out to at most 64 values. `clock_ms` is when the trial began, or
    ended its last epoch.
    """

    point_id: str
    name: str
    n_epochs: int
    clock_ms: int = 0
    epoch: int = 0
    best_epoch: int = 0
    value: float = math.nan
    last_value: float = math.nan
    state: PointState = PointState.RUNNING
    curve: list[float] = field(default_factory=list)
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_N_RECENT))  # seconds an epoch
    _has_reported: bool = False
    _stride: int = 1
    _n_values: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether the trial ended before its last epoch."""
        return self.state in (PointState.FINISHED, PointState.FAILED) and self.epoch < self.n_epochs

    @property
    def seconds_per_epoch(self) -> float | None:
        """Return the median seconds of its last epochs; None until one is measured."""
        return median(list(self._recent)) if self._recent else None

    @property
    def n_done(self) -> int:
        """Return the epochs done; those that an ended trial did not train count as done."""
        return self.n_epochs if self.state in (PointState.FINISHED, PointState.FAILED) else self.epoch

    def resume(self, at_ms: int) -> None:
        """Run again from this time, after the epochs trained so far."""
        self.state, self.clock_ms, self._has_reported = PointState.RUNNING, at_ms, False

    def advance(self, epoch: int, at_ms: int, ready_ms: int) -> tuple[int, int] | None:
        """Return the milliseconds and the number of epochs since the last report; None if they are not measured.

        Epochs of an earlier start of the sweep are reported again, with their old times. `ready_ms` is when the worker
        first reported: the trial's clock starts no earlier.
        """
        if at_ms < self.clock_ms:
            return None
        began = self.clock_ms if self._has_reported else max(self.clock_ms, ready_ms)
        n_epochs = max(0, epoch - self.epoch) if self._has_reported or at_ms > began else 0
        self._has_reported, self.clock_ms = True, at_ms
        if n_epochs:
            self._recent.append((at_ms - began) / 1000 / n_epochs)
        return at_ms - began, n_epochs

    def add_value(self, epoch: int, value: float, objective: ObjectiveConfig) -> None:
        """Add the objective after an epoch to the curve; keep it if it ranks the trial now."""
        if not math.isfinite(value):
            return
        self.last_value = value
        if objective.at == "last" or objective.is_better(value, self.value):
            self.value, self.best_epoch = value, epoch
        if self._n_values % self._stride == 0:
            self.curve = [*self.curve, value]
        self._n_values += 1
        if len(self.curve) > MAX_CURVE_VALUES:
            self.curve, self._stride = self.curve[::2], self._stride * 2

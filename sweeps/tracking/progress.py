"""The progress of a sweep: counted by the driver, shown in a terminal."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState


@dataclass
class Progress:
    """Counts of a sweep's points and the best value so far. Written by the driver's thread, read by the display."""

    sweep_id: str
    n_points: int
    n_epochs: int
    objective: ObjectiveConfig
    budget_seconds: float | None = None
    n_at_once: int = 1  # packs, if trials are packed, else points
    packs: bool = False
    running: dict[str, int] = field(default_factory=dict)
    ended: dict[PointState, int] = field(default_factory=dict)
    best_point: str | None = None
    best_value: float = math.nan
    ready_ms: dict[str, int] = field(default_factory=dict)  # first report of each worker
    _started: float | None = None

    @property
    def n_ended(self) -> int:
        """Return how many points have ended, in any state."""
        return sum(self.ended.values())

    @property
    def n_to_come(self) -> int:
        """Return how many points have not started."""
        return max(0, self.n_points - self.n_ended - len(self.running))

    def point_started(self, point_id: str) -> None:
        """Count a started point."""
        self._started = self._started or time.monotonic()
        self.running[point_id] = 0

    def worker_ready(self, worker: str, time_ms: int) -> None:
        """Record when a worker first reported."""
        self.ready_ms.setdefault(worker, time_ms)

    def epoch_ended(self, point_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Count an epoch and update the best value."""
        self.running[point_id] = epoch
        value = metrics.get(self.objective.metric, math.nan)
        if self.objective.is_better(value, self.best_value):
            self.best_point, self.best_value = point_id, value

    def point_ended(self, point_id: str, state: PointState) -> None:
        """Count an ended point; its untrained epochs count as done."""
        self.running.pop(point_id, None)
        self.ended[state] = self.ended.get(state, 0) + 1

    def seconds_left(self) -> float | None:
        """Estimate the seconds to the end at the current pace; None while that is unknown."""
        done = self.n_ended + sum(self.running.copy().values()) / self.n_epochs
        if self._started is None or done < 0.5:
            return None
        elapsed = time.monotonic() - self._started
        left = elapsed / done * max(0.0, self.n_points - done)
        return left if self.budget_seconds is None else min(left, max(0.0, self.budget_seconds - elapsed))

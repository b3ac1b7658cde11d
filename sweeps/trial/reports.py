"""One report for all points of a pack."""

import math
import time
from collections.abc import Callable, Mapping

from sweeps.trial.events import Event

# The last epoch reported (None where a point failed), the best objective so far of each point by its id, the events.
PackReport = Callable[[int | None, Mapping[str, float | list[float]], list[Event]], None]

# Training waits for each report, so one that decides nothing is held back for up to this long and sent with the next.
SECONDS_BETWEEN_REPORTS = 0.5


class Reports:
    """Gather what the points of a pack report, and send it as one report."""

    def __init__(self, report: PackReport) -> None:
        self._report = report
        self._sent_at = -math.inf
        self._objectives: dict[str, float | list[float]] = {}
        self._epoch: int | None = None
        self._events: list[Event] = []

    def add(self, point_id: str, epoch: int | None, objective: float | list[float], events: list[Event]) -> None:
        """Add a point's events to the next report; its objective is part of every report from now on."""
        self._objectives[point_id] = objective
        self._epoch = epoch
        self._events += events

    @property
    def are_due(self) -> bool:
        """Whether enough time has passed since the last report."""
        return time.monotonic() - self._sent_at >= SECONDS_BETWEEN_REPORTS

    def send(self) -> None:
        """Send the events gathered since the last report, if any. The process may end in this call."""
        events, self._events = self._events, []
        if events:
            self._report(self._epoch, dict(self._objectives), events)
            self._sent_at = time.monotonic()

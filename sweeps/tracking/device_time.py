"""The device time of a sweep, and the budgets that end it.

Device time is the wall time of each pack that trains, times the devices it holds: its GPUs if it uses any, else its CPU
cores. A trial that trains by itself is a pack of one. Waiting workers and the driver do not count.
"""

import math
import time
from collections.abc import Callable

from sweeps.config import SweepConfig
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import EntryKind
from sweeps.tracking.resume_state import seconds_left
from sweeps.tracking.sweep_result import DEVICE_HOURS_TAG, number_of_tag

# The metric of the parent run while the sweep runs.
DEVICE_HOURS = "device_hours"
# A driver that is killed loses at most this much of the count.
SECONDS_BETWEEN_RECORDS = 60.0


class DeviceTime:
    """Count the device seconds of packs that hold `devices` each, from `spent_seconds` of earlier starts."""

    def __init__(self, devices: float, spent_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._devices = devices
        self._ended_seconds = spent_seconds
        self._clock = clock
        self._began: dict[str, float] = {}
        self._recorded_at = clock()

    @property
    def seconds(self) -> float:
        """Return the device seconds so far, those of running packs included."""
        now = self._clock()
        return self._ended_seconds + sum(now - began for began in list(self._began.values())) * self._devices

    @property
    def hours(self) -> float:
        """Return the same in hours."""
        return self.seconds / 3600

    @property
    def is_due(self) -> bool:
        """Whether the count should be recorded again; it then is not for the next minute."""
        if self._clock() - self._recorded_at < SECONDS_BETWEEN_RECORDS:
            return False
        self._recorded_at = self._clock()
        return True

    def start(self, pack: str) -> None:
        """Count a pack from now on; one that starts again after its process was lost has not paused."""
        self._began.setdefault(pack, self._clock())

    def stop(self, pack: str) -> None:
        """Count a pack no longer; nothing happens if it does not run."""
        if (began := self._began.pop(pack, None)) is not None:
            self._ended_seconds += (self._clock() - began) * self._devices


class Budgets:
    """Which budget of a sweep is used up: that of its time, or that of its device time.

    `ended_by` names the first that was found used up; None as long as there is none.
    """

    def __init__(self, config: SweepConfig, journal: Journal, devices: float) -> None:
        self.deadline = time.monotonic() + seconds_left(config, journal)
        self.device_time = DeviceTime(devices, device_hours_spent(journal) * 3600)
        self.ended_by: str | None = None
        self._limit_hours = config.budget.device_hours or math.inf

    def are_used_up(self) -> bool:
        """Return whether a budget is used up, and remember which."""
        if self.ended_by is None and time.monotonic() > self.deadline:
            self.ended_by = "budget.seconds"
        if self.ended_by is None and self.device_time.hours >= self._limit_hours:
            self.ended_by = "budget.device_hours"
        return self.ended_by is not None


def device_hours_spent(journal: Journal) -> float:
    """Return the device hours that all starts of a sweep have recorded; 0 for a sweep of an earlier version."""
    recorded: list[float] = [
        entry.body["metrics"].get(DEVICE_HOURS, 0.0) for entry in journal.entries(EntryKind.PROGRESS)
    ]
    return max([0.0, *recorded, number_of_tag(journal.sweep().tags.get(DEVICE_HOURS_TAG)) or 0.0])


def device_hours_left(config: SweepConfig, journal: Journal) -> float:
    """Return the device hours that a sweep may still use; infinity without that budget."""
    return (config.budget.device_hours or math.inf) - device_hours_spent(journal)

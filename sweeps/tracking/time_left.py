"""The time left of a sweep: the epochs that its trials are expected to train, over the rate of recent epochs."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

# The rate is that of the recent half of the training, and of half an hour at most.
_RECENT_SHARE, _MAX_RECENT_SECONDS = 0.5, 1800.0
# Reports of the trials of one pack come together: they are one measurement.
_SECONDS_TOGETHER = 0.1
_MIN_MEASUREMENTS = 3


class EpochRate:
    """The epochs that all trials train per second, from the recent epochs: a slow start does not count for long."""

    def __init__(self) -> None:
        # The times at which measurements began and ended, and how many epochs all trials had trained by then.
        self._measured: deque[tuple[float, float, int]] = deque()
        self._began = 0.0
        self.n_epochs = 0

    def add(self, at: float, seconds: float, n_epochs: int) -> None:
        """Count epochs that ended at a time and took some seconds; a host with a slow clock may report the past."""
        if not self._measured:
            self._began = at - seconds
            self._measured.append((self._began, self._began, 0))
        first, last, _ = self._measured[-1]
        at = max(at, last)
        self.n_epochs += n_epochs
        if at - first < _SECONDS_TOGETHER:
            self._measured[-1] = first, at, self.n_epochs
        else:
            self._measured.append((at, at, self.n_epochs))
        recent = min(_MAX_RECENT_SECONDS, _RECENT_SHARE * (at - self._began))
        while len(self._measured) > _MIN_MEASUREMENTS and self._measured[0][1] < at - recent:
            self._measured.popleft()

    def per_second(self, silence: float = 0.0) -> float:
        """Return the epochs per second, 0 if not measured; `silence` are seconds for which a report is overdue."""
        if len(self._measured) < _MIN_MEASUREMENTS:
            return 0.0
        # Trials that train in step may not all have reported the newest epoch.
        return max(self._until(self._measured[-1], silence), self._until(self._measured[-2], silence))

    def _until(self, measured: tuple[float, float, int], silence: float) -> float:
        (_, began, n_before), (_, ended, n_after) = self._measured[0], measured
        seconds = ended - began + silence
        return (n_after - n_before) / seconds if seconds > 0 else 0.0


@dataclass(frozen=True)
class Work:
    """What is left to train, in epochs: of each running trial, with its seconds an epoch, and of each trial to come.

    `n_slots` is how many trials train at the same time; None while too few have started to know.
    """

    running: Sequence[tuple[float, float]]
    n_to_come: int
    epochs_to_come: float
    seconds_to_come: float
    n_slots: int | None

    def seconds(self, epochs_per_second: float) -> float:
        """Return the seconds that the work takes at a rate, and at least as long as its longest sequence of trials."""
        each = [epochs * seconds for epochs, seconds in self.running]
        n_epochs = sum(epochs for epochs, _ in self.running) + self.n_to_come * self.epochs_to_come
        whole = self.epochs_to_come * self.seconds_to_come
        n_rounds = ceil(self.n_to_come / self.n_slots) if self.n_slots else min(1, self.n_to_come)
        first_free = min(each, default=0.0) if self.n_slots and len(each) >= self.n_slots else 0.0
        return max(n_epochs / epochs_per_second, first_free + n_rounds * whole, *each, 0.0)


@dataclass(frozen=True)
class Trained:
    """A trial that trained `epoch` epochs, and whether it was stopped there before its last one."""

    epoch: int
    is_stopped: bool


class Survival:
    """The share of trials that train beyond an epoch (Kaplan and Meier 1958).

    Trials that run or trained to their last epoch are censored: they only show that they got that far.
    """

    def __init__(self, trials: Sequence[Trained]) -> None:
        stops = Counter(trial.epoch for trial in trials if trial.is_stopped)
        reached = sorted(trial.epoch for trial in trials)
        # Between two stops the share is constant; _areas holds its sum over the epochs before each.
        self._epochs, self._shares, self._areas = [0], [1.0], [0.0]
        for epoch in sorted(stops):
            n_at_risk = len(reached) - bisect_right(reached, epoch - 1)
            self._areas.append(self._area(epoch))
            self._shares.append(self._shares[-1] * (1 - stops[epoch] / n_at_risk))
            self._epochs.append(epoch)

    def remaining(self, epoch: int, n_epochs: int) -> float:
        """Return the expected epochs of a trial after `epoch`, which it has trained, until `n_epochs`."""
        share = self._shares[self._index(epoch)]
        if share <= 0:  # it runs where all others were stopped
            return float(max(0, n_epochs - epoch))
        return max(0.0, (self._area(n_epochs) - self._area(epoch)) / share)

    def _area(self, epoch: int) -> float:
        index = self._index(epoch)
        return self._areas[index] + (epoch - self._epochs[index]) * self._shares[index]

    def _index(self, epoch: int) -> int:
        return bisect_right(self._epochs, epoch) - 1

"""How many epochs a trial is expected to train, learned from the trials that were stopped early."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


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

"""Patience: a training that no longer gains ends before its last epoch. Plain Python."""

import math
from collections.abc import Mapping
from typing import Any

from sweeps.config.objective import ObjectiveConfig

# What counts as a gain, and what it is worth: the Deep Learning Tutorials' improvement_threshold and patience_increase.
_LEAST_GAIN = 0.005
_EXTENSION = 2


class Patience:
    """Says after which epoch a training ends, by the Deep Learning Tutorials' rule.

    It ends with the epoch `n_epochs`. A value of `objective` that betters the best one so far by half a percent lets
    it go on to twice the epoch that reached it, where that is later. Epochs count from 1; without `n_epochs` it never
    ends.
    """

    def __init__(self, n_epochs: int | None, objective: ObjectiveConfig) -> None:
        self._last_epoch = math.inf if n_epochs is None else n_epochs
        self._objective = objective
        self._best = math.inf  # with the sign by which less is better

    def is_over(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Whether this epoch is the last; one that did not measure the objective never is."""
        if self._objective.metric not in metrics:
            return False
        value = metrics[self._objective.metric]
        loss = value if self._objective.direction == "minimize" else -value
        if not math.isfinite(self._best) or loss < self._best - _LEAST_GAIN * abs(self._best):
            self._last_epoch = max(self._last_epoch, _EXTENSION * epoch)
        self._best = min(self._best, loss)
        return epoch >= self._last_epoch

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint must hold, as plain values."""
        return {"last_epoch": self._last_epoch, "best": self._best}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._last_epoch, self._best = state["last_epoch"], state["best"]

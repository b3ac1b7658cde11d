"""Patience: a training that no longer improves is stopped before its last epoch. Plain Python."""

import math
from collections.abc import Mapping
from typing import Any

from sweeps.config.objective import ObjectiveConfig

# The Deep Learning Tutorials' 1 - improvement_threshold, and patience_increase.
_MIN_IMPROVEMENT = 0.005
_EXTENSION = 2


class Patience:
    """Decides after which epoch a training stops, by the rule of the Deep Learning Tutorials.

    It stops after epoch `n_epochs`. A value of `objective` that improves on the best one by half a percent extends the
    training to twice the epoch of that value, if that is later. Epochs count from 1; without `n_epochs` it never stops.
    """

    def __init__(self, n_epochs: int | None, objective: ObjectiveConfig) -> None:
        self._last_epoch = math.inf if n_epochs is None else n_epochs
        self._objective = objective
        self._best = math.inf  # as a loss: lower is better

    def is_over(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Return whether the training stops after this epoch; never after an epoch without the objective."""
        if self._objective.metric not in metrics:
            return False
        value = metrics[self._objective.metric]
        loss = value if self._objective.direction == "minimize" else -value
        if not math.isfinite(self._best) or loss < self._best - _MIN_IMPROVEMENT * abs(self._best):
            self._last_epoch = max(self._last_epoch, _EXTENSION * epoch)
        self._best = min(self._best, loss)
        return epoch >= self._last_epoch

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, as plain values."""
        return {"last_epoch": self._last_epoch, "best": self._best}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `state` returned."""
        self._last_epoch, self._best = state["last_epoch"], state["best"]

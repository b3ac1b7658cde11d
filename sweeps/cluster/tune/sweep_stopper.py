"""What ends a whole sweep in Ray Tune."""

from collections.abc import Callable
from typing import Any

from ray.tune import Stopper


class SweepStopper(Stopper):
    """Ends all trials once `is_over` returns true, and no trial by itself."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles this object for `Tuner.restore`, which no sweep uses."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return whether a trial ends with this result: never."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials end now."""
        return self._is_over()

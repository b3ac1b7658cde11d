"""A point followed epoch by epoch, up to the epoch by which it is ranked at its end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sweeps.config import ObjectiveConfig
from sweeps.search.ranking import best_epoch
from sweeps.tracking.journal.records import BestEpoch, Entry


@dataclass
class FollowedPoint:
    """What is known of a point after each of its epochs, without keeping their metrics.

    `n_epochs` is how many it has trained, `last_ms` when the last one ended, in milliseconds since 1970.
    """

    objectives: Sequence[ObjectiveConfig]
    n_epochs: int = 0
    last_ms: int = 0
    _scored: tuple[int, Mapping[str, float]] | None = None
    _last: dict[str, tuple[int, float]] = field(default_factory=dict)

    def add(self, epoch: int, metrics: Mapping[str, float], time_ms: int) -> None:
        """Add an epoch; one that was added before is ignored, as the journal keeps its first values."""
        if epoch <= self.n_epochs:
            return
        self.n_epochs, self.last_ms = epoch, max(self.last_ms, time_ms)
        named = {objective.metric for objective in self.objectives}
        self._last |= {name: (epoch, metrics[name]) for name in named if name in metrics}
        if named <= metrics.keys() and self._leads(epoch, metrics):
            self._scored = (epoch, dict(metrics))

    def best(self) -> BestEpoch | None:
        """Return the epoch by which the point would be ranked if it ended now; None if no epoch counts."""
        if self._scored is None or best_epoch([self._scored], self.objectives) is None:
            return None
        epoch, metrics = self._scored
        last_epochs = {name: last for name, (last, value) in self._last.items() if value != metrics[name]}
        return BestEpoch(epoch, metrics, last_epochs)

    def _leads(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Return whether the point is ranked by this epoch, which has all objectives, and by none before it."""
        if self.objectives[0].at == "last" or self._scored is None:
            return True
        score = best_epoch([self._scored, (epoch, metrics)], self.objectives)
        return score is None or score.epoch == epoch


def follow(objectives: Sequence[ObjectiveConfig], epochs: Iterable[Entry]) -> FollowedPoint:
    """Return a point followed through epochs that the journal has."""
    point = FollowedPoint(objectives)
    for entry in epochs:
        point.add(entry.epoch or 0, entry.body["metrics"], entry.time_ms)
    return point

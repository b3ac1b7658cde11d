"""Searchers that learn nothing: each point depends on its index alone."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.search.searchers.interface import Ended, Proposal


class IndependentSearcher:
    """Proposes the points that `point_at` gives for the indices of a sweep, in order."""

    def __init__(
        self,
        config: SweepConfig,
        ended: Mapping[int, Ended],
        unfinished: Mapping[int, Point],
        point_at: Callable[[int], Point],
    ) -> None:
        self._n_trials = config.n_trials
        self._unfinished = unfinished
        self._point_at = point_at
        self._remaining = deque(index for index in range(self._n_trials) if index not in ended)

    @property
    def is_exhausted(self) -> bool:
        """Whether every point has been proposed."""
        return not self._remaining

    def ask(self, n: int) -> list[Proposal]:
        """Return the next `n` points, or as many as remain."""
        indices = [self._remaining.popleft() for _ in range(min(n, len(self._remaining)))]
        return [Proposal(index, self._unfinished.get(index) or self._point_at(index)) for index in indices]

    def tell(self, index: int, values: Sequence[float] | None) -> None:
        """Ignore the result."""

    def preview(self, n: int) -> list[Point]:
        """Return the first `n` points of the sweep, or all if it has fewer."""
        return [self._point_at(index) for index in range(min(n, self._n_trials))]

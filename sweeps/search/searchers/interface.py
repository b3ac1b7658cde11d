"""What every searcher offers: ask for points, tell their results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point


@dataclass(frozen=True)
class Proposal:
    """A point to train, and its index in the sweep, counted from 0."""

    index: int
    point: Point


@dataclass(frozen=True)
class Ended:
    """A point that was trained before: the value of each objective, None if it failed."""

    point: Point
    values: Sequence[float] | None


class PointSearcher(Protocol):
    """Chooses the points of a sweep. The same seed gives the same points, however trials are scheduled."""

    @property
    def is_exhausted(self) -> bool:
        """Whether every point of the sweep has been proposed."""

    def ask(self, n: int) -> list[Proposal]:
        """Return up to `n` points to train now.

        Fewer, or none, if the searcher waits for results or all points have been proposed.
        """

    def tell(self, index: int, values: Sequence[float] | None) -> None:
        """Give the searcher the objectives' values of a point; None if the point failed."""

    def preview(self, n: int) -> list[Point]:
        """Return up to `n` points like those that the sweep starts with, without proposing them."""


# Makes a searcher from the sweep, the points that have ended, and those that were proposed and have not ended: these
# are proposed again, unchanged. Both are keyed by index.
MakeSearcher: TypeAlias = Callable[[SweepConfig, Mapping[int, Ended], Mapping[int, Point]], PointSearcher]

"""How points are chosen: one module for each searcher, behind one interface.

Each searcher's section in `sweeps.config.searchers` names its module, which is imported on first use.
"""

from collections.abc import Mapping
from pkgutil import resolve_name

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.search.searchers.interface import Ended, MakeSearcher, PointSearcher, Proposal

__all__ = ["Ended", "MakeSearcher", "PointSearcher", "Proposal", "point_id", "point_searcher"]


def point_searcher(
    config: SweepConfig, ended: Mapping[int, Ended] | None = None, unfinished: Mapping[int, Point] | None = None
) -> PointSearcher:
    """Return the searcher of a sweep, as it is after the results of the points in `ended`.

    The points in `unfinished` were proposed before and have not ended: they are proposed again, unchanged.
    """
    make: MakeSearcher = resolve_name(config.algorithm.searcher)
    return make(config, ended or {}, unfinished or {})


def point_id(index: int) -> str:
    """Return the name of a point within its sweep."""
    return f"{index:04d}"

"""A list of points, trained in its order."""

from collections.abc import Mapping
from typing import cast

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.config.searchers import PointsConfig
from sweeps.search.searchers.independent import IndependentSearcher
from sweeps.search.searchers.interface import Ended


def listed_searcher(
    config: SweepConfig, ended: Mapping[int, Ended], unfinished: Mapping[int, Point]
) -> IndependentSearcher:
    """Return the searcher of the points that the sweep file lists."""
    points = cast("PointsConfig", config.algorithm).points
    # In the order of the search space, as all searchers propose them.
    return IndependentSearcher(
        config, ended, unfinished, lambda index: {path: points[index][path] for path in config.search}
    )

"""Grid search: every combination of the choices."""

import itertools
from collections.abc import Mapping
from functools import partial

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point, SearchSpace, corners
from sweeps.search.searchers.independent import IndependentSearcher
from sweeps.search.searchers.interface import Ended


def grid_searcher(
    config: SweepConfig, ended: Mapping[int, Ended], unfinished: Mapping[int, Point]
) -> IndependentSearcher:
    """Return the searcher of every combination."""
    return IndependentSearcher(config, ended, unfinished, partial(grid_point, config.search))


def grid_point(search: SearchSpace, index: int) -> Point:
    """Return the index-th combination, in which the last path of the sweep file varies fastest."""
    combinations = itertools.product(*(corners(values) for values in search.values()))
    return dict(zip(search, next(itertools.islice(combinations, index, None)), strict=True))

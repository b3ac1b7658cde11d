"""Random search: each point is drawn independently, from the seed and its index."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from sweeps.config import SweepConfig
from sweeps.config.search_space import Choices, Interval, Point, SearchSpace
from sweeps.search.searchers.independent import IndependentSearcher
from sweeps.search.searchers.interface import Ended


def random_searcher(
    config: SweepConfig, ended: Mapping[int, Ended], unfinished: Mapping[int, Point]
) -> IndependentSearcher:
    """Return the searcher of random points."""
    point_at = partial(random_point, config.search, config.algorithm.seed)
    return IndependentSearcher(config, ended, unfinished, point_at)


def random_point(search: SearchSpace, seed: int, index: int) -> Point:
    """Return the index-th random point, each value uniform over its range, or over the range's logarithm.

    Values are drawn in the order of their paths' names, so the order in the sweep file does not matter.
    """
    random = np.random.default_rng([seed, index])
    drawn = {path: _draw(search[path], random) for path in sorted(search)}
    return {path: drawn[path] for path in search}


def _draw(values: Choices | Interval, random: np.random.Generator) -> Any:
    if isinstance(values, Choices):
        return values.values[random.integers(len(values.values))]
    if not values.is_log:
        if values.is_whole:
            return int(random.integers(int(values.low), int(values.high), endpoint=True))
        return float(random.uniform(values.low, values.high))
    # An integer stands for all values that round to it, so that both ends are as likely as the integers between.
    margin = 0.5 if values.is_whole else 0.0
    drawn = math.exp(random.uniform(math.log(values.low - margin), math.log(values.high + margin)))
    drawn = min(max(drawn, values.low), values.high)
    return round(drawn) if values.is_whole else drawn

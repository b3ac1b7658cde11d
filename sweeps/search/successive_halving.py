"""Successive halving within a pack: which of its points leave at a rung. Plain Python."""

import math
from collections.abc import Mapping

from sweeps.config import ObjectiveConfig, SweepConfig

ObjectiveValue = float | list[float]


class Halving:
    """A bracket (Li et al. 2018, section 3): at a rung the best 1/`reduction_factor` of the points stay, at least one.

    A value that is not finite ranks last; of equal values the first ones stay. If no value is finite, as at a rung
    without validation, all points stay. `rule` is the scheduler's name, for the tag of a stopped point.
    """

    def __init__(self, objective: ObjectiveConfig, reduction_factor: int, rule: str) -> None:
        self._objective = objective
        self._reduction_factor = reduction_factor
        self.rule = rule

    def leaving(self, values: Mapping[str, ObjectiveValue]) -> list[str]:
        """Return the ids of the points that are stopped at a rung, from the objective of each point there."""
        ranked: list[tuple[str, float]] = []
        for point_id, value in values.items():
            assert isinstance(value, (int, float)), "points with several objectives are not halved"
            beaten = (rank for rank, (_, other) in enumerate(ranked) if self._objective.is_better(value, other))
            ranked.insert(next(beaten, len(ranked)), (point_id, value))
        if not any(math.isfinite(value) for _, value in ranked):
            return []
        return [point_id for point_id, _ in ranked[max(1, len(ranked) // self._reduction_factor) :]]


def halving(sweep: SweepConfig) -> Halving | None:
    """Return how a sweep halves its packs; None if packs keep their points, or trials are compared across packs."""
    factor = sweep.stopping.pack_reduction_factor
    if factor is None or sweep.execution != "packed":
        return None
    return Halving(sweep.objectives[0], factor, sweep.stopping.name)

"""Ranking: the epoch that counts for a point, and the order of points by their objectives there. Plain Python."""

import math
import operator
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sweeps.config.objective import ObjectiveConfig

PointId = TypeVar("PointId", bound=Hashable)
# An epoch, and the objective after it.
EpochValue = tuple[int, float]
# With two objectives, a front sorted by one is sorted by the other in reverse.
_N_SORTED = 2
History = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Score:
    """The epoch that counts for a point, and the value of each objective there."""

    epoch: int
    values: tuple[float, ...]


def epoch_values(history: History, objective: ObjectiveConfig) -> list[EpochValue]:
    """Return, for each epoch, the value that ranked the point so far; NaN until it had one."""
    values: list[EpochValue] = []
    best = math.nan
    for epoch, metrics in sorted(history, key=lambda entry: entry[0]):
        value = metrics.get(objective.metric, math.nan)
        if objective.is_better(value, best) or (objective.at == "last" and math.isfinite(value)):
            best = value
        values.append((epoch, best))
    return values


def best_epoch(history: History, objectives: Sequence[ObjectiveConfig]) -> Score | None:
    """Return the score of a point from its metrics `(epoch, {name: value})`; None if no epoch has all objectives.

    With `at: best` the epoch with the best first objective counts, the earliest of equal ones, and every value is taken
    there: all belong to one checkpoint. With `at: last` the last epoch that has all objectives counts; if one
    of them is not finite there, the point has no score.
    """
    scores = [
        Score(epoch, tuple(metrics[objective.metric] for objective in objectives))
        for epoch, metrics in sorted(history, key=lambda entry: entry[0])
        if all(objective.metric in metrics for objective in objectives)
    ]
    if objectives[0].at == "last":
        scores = scores[-1:]
    finite = [score for score in scores if all(map(math.isfinite, score.values))]
    return min(finite, key=lambda score: _losses(score, objectives)[0], default=None)


def front(scores: Mapping[PointId, Score], objectives: Sequence[ObjectiveConfig]) -> list[PointId]:
    """Return the Pareto front, in rank order: the points that no other point dominates."""
    return next(iter(_fronts(scores, objectives)), [])


def rank(scores: Mapping[PointId, Score], objectives: Sequence[ObjectiveConfig]) -> list[PointId]:
    """Return the points, best first; equal points keep their order.

    With several objectives: the Pareto front, then the front of the remaining points, and so on. Each front is ordered
    by the first objective of the sweep file, then the second, and so on.
    """
    return [point for leading in _fronts(scores, objectives) for point in leading]


def _fronts(scores: Mapping[PointId, Score], objectives: Sequence[ObjectiveConfig]) -> list[list[PointId]]:
    """The Pareto front, then that of the remaining points, and so on.

    This is efficient non-dominated sorting (Zhang et al. 2015). Points are added in the order of their losses, so only
    points added earlier can dominate a point. If no member of a front dominates a point, no member of a later one does.
    """
    losses = {point: _losses(score, objectives) for point, score in scores.items()}
    fronts: list[list[PointId]] = []
    for point in sorted(losses, key=lambda point: losses[point]):
        index = bisect_left(fronts, x=True, key=partial(_is_undominated_in, point, losses))
        if index == len(fronts):
            fronts.append([])
        fronts[index].append(point)
    return fronts


def _is_undominated_in(point: PointId, losses: Mapping[PointId, tuple[float, ...]], front: Sequence[PointId]) -> bool:
    """Whether no member of a front dominates a point. All members sort before the point."""
    # With two objectives the second falls along a front: if its last member does not dominate the point, none does.
    compared = front[-1:] if len(losses[point]) <= _N_SORTED else front
    return not any(_dominates(losses[member], losses[point]) for member in compared)


def _losses(score: Score, objectives: Sequence[ObjectiveConfig]) -> tuple[float, ...]:
    """The values, negated if maximized: lower is better."""
    pairs = zip(score.values, objectives, strict=True)
    return tuple(value if objective.direction == "minimize" else -value for value, objective in pairs)


def _dominates(losses: Sequence[float], others: Sequence[float]) -> bool:
    """Whether no loss is higher and one is lower (Pareto dominance)."""
    return all(map(operator.le, losses, others)) and losses != others

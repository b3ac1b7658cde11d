"""Ranking: the epoch at which a point counts, and the order of points by what they reached there. Plain Python."""

import math
import operator
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sweeps.config.objective import ObjectiveConfig

PointId = TypeVar("PointId", bound=Hashable)
# An epoch and the objective then.
EpochValue = tuple[int, float]
# Of so many objectives a front that is sorted by the first is sorted by the other, too.
_N_SORTED = 2
History = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Score:
    """What a point reached: the epoch that counts, and the value of each objective then."""

    epoch: int
    values: tuple[float, ...]


def epoch_values(history: History, objective: ObjectiveConfig) -> list[EpochValue]:
    """What a point told of itself after each epoch: the value by which it ranked so far, NaN before there was one."""
    values: list[EpochValue] = []
    best = math.nan
    for epoch, metrics in sorted(history, key=lambda entry: entry[0]):
        value = metrics.get(objective.metric, math.nan)
        if objective.is_better(value, best) or (objective.at == "last" and math.isfinite(value)):
            best = value
        values.append((epoch, best))
    return values


def best_epoch(history: History, objectives: Sequence[ObjectiveConfig]) -> Score | None:
    """The score of a point by its metrics `(epoch, {name: value})`; None where it never had all objectives.

    With `at: best` the first objective chooses the epoch, the earliest among equals, and all values are taken there:
    they belong to one checkpoint. With `at: last` the last epoch that has the metrics counts, and counts for nothing
    when one of them is not finite.
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
    """The points that no other beats (Pareto): none is as good in every objective and better in one. In rank order."""
    return next(iter(_fronts(scores, objectives)), [])


def rank(scores: Mapping[PointId, Score], objectives: Sequence[ObjectiveConfig]) -> list[PointId]:
    """Points, best first; equal ones in the order given.

    With several objectives: the front, then the front of what is left, and so on, each ordered by the objectives in
    the order of the sweep file.
    """
    return [point for leading in _fronts(scores, objectives) for point in leading]


def _fronts(scores: Mapping[PointId, Score], objectives: Sequence[ObjectiveConfig]) -> list[list[PointId]]:
    """The front, then the front of what is left, and so on: efficient non-dominated sorting (Zhang et al. 2015).

    Points are taken in the order of their losses, so that a point can be beaten only by one that is in its front
    already. A point that no member of a front beats is beaten by none of a later one.
    """
    losses = {point: _losses(score, objectives) for point, score in scores.items()}
    fronts: list[list[PointId]] = []
    for point in sorted(losses, key=lambda point: losses[point]):
        index = bisect_left(fronts, x=True, key=partial(_leaves_in, point, losses))
        if index == len(fronts):
            fronts.append([])
        fronts[index].append(point)
    return fronts


def _leaves_in(point: PointId, losses: Mapping[PointId, tuple[float, ...]], front: Sequence[PointId]) -> bool:
    """Whether no member of a front, each of which sorts before the point, beats it."""
    # Of two objectives the second falls along a front: who is not beaten by the last member is beaten by none.
    compared = front[-1:] if len(losses[point]) <= _N_SORTED else front
    return not any(_beats(losses[member], losses[point]) for member in compared)


def _losses(score: Score, objectives: Sequence[ObjectiveConfig]) -> tuple[float, ...]:
    """The values with signs such that less is better."""
    pairs = zip(score.values, objectives, strict=True)
    return tuple(value if objective.direction == "minimize" else -value for value, objective in pairs)


def _beats(losses: Sequence[float], others: Sequence[float]) -> bool:
    """Whether nothing is worse and something is better (Pareto dominance)."""
    return all(map(operator.le, losses, others)) and losses != others

"""The searched settings as axes: each value as a number on a scale on which the search draws evenly."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.config.search_space import Choices, Interval
from sweeps.tracking.sweep_result import RankedTrial, SweepResult

SEED = "training.seed"


@dataclass(frozen=True)
class Axis:
    """A searched setting. `low` and `high` bound the values that were drawn and the range, on the axis' own scale.

    The scale is the logarithm to base 10 for `is_log`. `categories` are the choices, in order of size if all are
    numbers (`is_ordered`); empty for a range of numbers. A choice lies at its index.
    """

    path: str
    is_log: bool
    is_whole: bool
    low: float
    high: float
    categories: tuple[Any, ...] = ()
    is_ordered: bool = True

    @property
    def is_categorical(self) -> bool:
        """Whether the setting is one of several choices."""
        return bool(self.categories)

    def place(self, value: Any) -> float:
        """Return where a value lies on the axis."""
        if self.is_categorical:
            return float(_index(value, self.categories))
        return math.log10(value) if self.is_log else float(value)

    def value(self, place: float) -> Any:
        """Return the value at a place of the axis."""
        if self.is_categorical:
            return self.categories[min(len(self.categories) - 1, max(0, round(place)))]
        number = 10.0**place if self.is_log else place
        return round(number) if self.is_whole else number


def axes(result: SweepResult, points: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """Return the axes of the searched settings that every point has and that vary among the points; not of the seed."""
    found = []
    for path, values in result.config.search.items():
        if path == SEED:  # chance, not a setting
            continue
        drawn = [point[path] for point in points if path in point]
        if len(drawn) == len(points) and len(_distinct(drawn)) > 1:
            found.append(_axis(path, values, drawn))
    return found


def ranked_axes(result: SweepResult) -> list[Axis]:
    """Return the axes of the ranked trials."""
    return axes(result, [trial.point for trial in result.ranking])


def objective_values(result: SweepResult, objective_index: int = 0) -> list[float]:
    """Return an objective of each ranked trial, best first by the sweep's ranking."""
    metric = result.objective_metrics[objective_index]
    return [trial.metrics[metric] for trial in result.ranking]


def is_better_low(result: SweepResult, objective_index: int = 0) -> bool:
    """Return whether an objective is minimized."""
    return result.config.objectives[objective_index].direction == "minimize"


def best_first(result: SweepResult, objective_index: int = 0) -> list[RankedTrial]:
    """Return the ranked trials in the order of one objective, best first."""
    metric = result.objective_metrics[objective_index]
    sign = 1 if is_better_low(result, objective_index) else -1
    return sorted(result.ranking, key=lambda trial: sign * trial.metrics[metric])


def _axis(path: str, values: Interval | Choices, drawn: Sequence[Any]) -> Axis:
    if isinstance(values, Choices):
        # A resumed sweep may have drawn choices that a change of its search space has removed since.
        categories = _distinct([*values.values, *drawn])
        is_ordered = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in categories)
        ordered = tuple(sorted(categories)) if is_ordered else tuple(categories)
        return Axis(path, False, False, 0.0, float(len(ordered) - 1), ordered, is_ordered)
    is_log = values.is_log and all(value > 0 for value in drawn)
    axis = Axis(path, is_log, values.is_whole, 0.0, 0.0)
    places = [axis.place(value) for value in (values.low, values.high, *drawn)]
    return Axis(path, is_log, values.is_whole, min(places), max(places))


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({_key(value): value for value in values}.values())


def _index(value: Any, categories: Sequence[Any]) -> int:
    return [_key(category) for category in categories].index(_key(value))


def _key(value: Any) -> str:
    """Return what tells choices apart: 1, 1.0 and True are three choices; a list may come back as a tuple."""
    return repr(list(value) if isinstance(value, tuple) else value)

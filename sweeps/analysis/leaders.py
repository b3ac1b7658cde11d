"""Where the leading trials lie on a setting's range: at an edge, close together, or anywhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweeps.analysis.axes import Axis
from sweeps.config.search_space import Choices, Interval
from sweeps.tracking.sweep_result import SweepResult

LEVEL = 0.05
# The leading trials: a fifth of all, within these limits.
SHARE, FEWEST, MOST = 0.2, 3, 10
# A number lies at an edge in the outer fifth of its range, on the range's own scale: a fifth of all trials lead.
EDGE = 0.2
Edge = Literal["low", "high"]


@dataclass(frozen=True)
class Leaders:
    """The leading trials on one setting: `edge` is where the best and most others lie, further than chance explains.

    `are_close` says that they fill less of the range than trials at random would. `low` and `high` bound them on the
    axis, and `values` are their values, best first.
    """

    values: tuple[Any, ...]
    low: float
    high: float
    edge: Edge | None
    edge_reason: str
    are_close: bool
    close_reason: str


def leaders_of(result: SweepResult, axis: Axis, values: Interval | Choices) -> Leaders:
    """Return where the leading trials of a sweep lie on an axis; `values` is the range that the sweep searches."""
    n_leaders = min(MOST, max(FEWEST, math.ceil(SHARE * len(result.ranking))), len(result.ranking))
    drawn = tuple(trial.point[axis.path] for trial in result.ranking[:n_leaders])
    places = [axis.place(value) for value in drawn]
    edge, n_at_edge = _edge(axis, values, places)
    where = "smallest" if edge == "low" else "largest"
    reason = f"the best trial and {n_at_edge} of the {n_leaders} leading ones lie at the {where} values"
    if axis.is_categorical:
        left_out = 1 - len(set(places)) / len(axis.categories)
        are_close = left_out > 0 and (1 - left_out) ** n_leaders <= LEVEL
        close = f"the {n_leaders} leading trials have {_count(len(set(places)), 'value')} of {len(axis.categories)}"
    else:
        width = (max(places) - min(places)) / (axis.high - axis.low)
        are_close = chance_of_span(width, n_leaders) <= LEVEL
        close = f"the {n_leaders} leading trials lie within {width:.0%} of the range"
    return Leaders(drawn, min(places), max(places), edge, reason, are_close, close)


def chance_of_span(width: float, n: int) -> float:
    """Return the probability that n uniform values in [0, 1] span at most `width`: n w^(n-1) - (n-1) w^n."""
    return n * width ** (n - 1) - (n - 1) * width**n


def chance_of_at_least(n_hits: int, n: int, share: float) -> float:
    """Return the probability of `n_hits` or more of n, each a hit with probability `share` (binomial)."""
    return sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n_hits, n + 1))


def _edge(axis: Axis, values: Interval | Choices, places: Sequence[float]) -> tuple[Edge | None, int]:
    """Return the edge at which the best trial and at least two thirds of the leaders lie, and how many do."""
    if axis.is_categorical and not axis.is_ordered:
        return None, 0
    if isinstance(values, Choices):
        low, high, margin, share = axis.low, axis.high, 0.0, 1 / len(axis.categories)
    else:
        low, high = axis.place(values.low), axis.place(values.high)
        margin, share = EDGE * (high - low), EDGE
    edges: tuple[tuple[Edge, list[bool]], ...] = (
        ("low", [place <= low + margin for place in places]),
        ("high", [place >= high - margin for place in places]),
    )
    for edge, are_at_edge in edges:
        n_hits = sum(are_at_edge)
        is_chance = chance_of_at_least(n_hits, len(places), share) > LEVEL
        if are_at_edge[0] and 3 * n_hits >= 2 * len(places) and not is_chance:
            return edge, n_hits
    return None, 0


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"

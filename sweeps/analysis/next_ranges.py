"""Ranges wider or narrower than another one, of the same kind."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sweeps.analysis.axes import Axis
from sweeps.analysis.leaders import Edge, Leaders
from sweeps.config.search_space import LARGEST, Choices, Interval

# A range is widened by half of itself; by less where the setting does not allow that.
WIDER_BY = (0.5, 0.25, 0.1)
# A narrowed range leaves room around the leading trials: this share of the old range on each side.
MARGIN = 0.1
DIGITS = 3


def widened(values: Interval | Choices, edge: Edge) -> Iterator[Interval | Choices]:
    """Yield ranges that go further at an edge, the widest first."""
    if isinstance(values, Choices):
        further = _next_choice(values.values, edge)
        if further is not None:
            added = (further, *values.values) if edge == "low" else (*values.values, further)
            yield replace(values, values=added)
        return
    for share in WIDER_BY:
        low, high = _places(values)
        if edge == "low":
            low -= share * (high - low)
        else:
            high += share * (high - low)
        wider = _interval(values, low, high)
        wider = replace(wider, high=values.high) if edge == "low" else replace(wider, low=values.low)
        is_wider = wider.low < values.low or wider.high > values.high
        if is_wider and max(abs(wider.low), abs(wider.high)) <= LARGEST and (wider.low > 0 or not wider.is_log):
            yield wider


def narrowed(values: Interval | Choices, axis: Axis, leaders: Leaders) -> Iterator[Interval | Choices]:
    """Yield the range around the leading trials; nothing if it is no narrower."""
    if isinstance(values, Choices):
        led = [axis.place(value) for value in leaders.values]
        kept = tuple(value for value in values.values if axis.place(value) in led)
        if 0 < len(kept) < len(values.values):
            yield replace(values, values=kept)
        return
    low, high = _places(values)
    if leaders.low < low or leaders.high > high:  # they were drawn before the range changed
        return
    margin = MARGIN * (high - low)
    narrower = _interval(values, max(low, leaders.low - margin), min(high, leaders.high + margin))
    narrower = replace(narrower, low=max(values.low, narrower.low), high=min(values.high, narrower.high))
    if narrower.low < narrower.high and (narrower.low > values.low or narrower.high < values.high):
        yield narrower


def _places(values: Interval) -> tuple[float, float]:
    return (math.log10(values.low), math.log10(values.high)) if values.is_log else (values.low, values.high)


def _interval(values: Interval, low: float, high: float) -> Interval:
    """Return a range of the same kind between two places, rounded outwards to few digits."""
    if values.is_log:
        low, high = 10.0**low, 10.0**high
    if values.is_whole:
        return replace(values, low=math.floor(low + 1e-9), high=math.ceil(high - 1e-9))
    width = high - low
    return replace(values, low=_rounded(low, width, math.floor), high=_rounded(high, width, math.ceil))


def _rounded(number: float, width: float, towards: Any) -> float:
    """Return a number with three digits, of itself or of the range's width, whichever are finer."""
    size = min((abs(value) for value in (number, width) if value != 0), default=1.0)
    digits = DIGITS - 1 - math.floor(math.log10(size))
    scale = 10.0**digits
    steps = number * scale
    whole = round(steps) if abs(steps - round(steps)) < 1e-6 else towards(steps)
    return float(round(whole / scale, digits))


def _next_choice(values: Sequence[Any], edge: Edge) -> Any:
    """Return the number that continues the choices at an edge, by their ratio or else by their step; None for one."""
    ordered = sorted(values, reverse=edge == "low")
    if len(ordered) < 2:
        return None
    before, last = ordered[-2:]
    further = last * last / before if before > 0 and last > 0 else 2 * last - before
    is_whole = all(isinstance(value, int) for value in values)
    further = round(further) if is_whole else float(f"{further:.3g}")
    return further if further not in values else None

"""The range of an axis: as far as its curves reach, and on to the references that leave these enough room."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Values over a decade or more take a logarithmic axis; with zeros among them, over three.
_LOG_RATIO, _LOG_RATIO_WITH_ZEROS = 10.0, 1000.0
# The share of the axis that curves must have beside references.
_CURVES_SHARE = 0.4
_MARGIN = 0.05
# Equal values lie in the middle of an axis of this share of them.
_FLAT = 0.2


@dataclass(frozen=True)
class AxisRange:
    """Both ends of an axis, and whether it is logarithmic."""

    low: float
    high: float
    is_log: bool = False

    @property
    def n_decades(self) -> float:
        """How many powers of ten a logarithmic axis spans."""
        return math.log10(self.high / self.low)


def axis_range(values: Sequence[float], references: Sequence[float], floor: float = -math.inf) -> AxisRange:
    """Return the range that shows `values`, and each of the `references` that leaves them two fifths of it.

    References are added from the nearest to the farthest. Values that are not finite do not count, nor do values below
    `floor` unless all are. Raises ValueError if no value is finite.
    """
    finite = [value for value in values if math.isfinite(value)]
    counted = [value for value in finite if value >= floor] or finite
    low, high, is_log = _span(counted)
    scale: Callable[[float], float] = math.log10 if is_log else float
    size = scale(high) - scale(low)
    bottom, top = scale(low), scale(high)
    shown = [scale(value) for value in references if math.isfinite(value) and (value > 0 or not is_log)]
    for value in sorted(shown, key=lambda value: max(bottom - value, value - top)):
        lower, higher = min(bottom, value), max(top, value)
        if size >= _CURVES_SHARE * (higher - lower):
            bottom, top = lower, higher
    margin = _MARGIN * (top - bottom)
    ends = bottom - margin, top + margin
    return AxisRange(10.0 ** ends[0], 10.0 ** ends[1], is_log) if is_log else AxisRange(*ends)


def _span(values: Sequence[float]) -> tuple[float, float, bool]:
    """Return the lowest and the highest value, never the same, and whether a logarithmic axis suits them."""
    low, high = min(values), max(values)
    positive = [value for value in values if value > 0]
    if positive and low >= 0 and high / min(positive) >= (_LOG_RATIO if low > 0 else _LOG_RATIO_WITH_ZEROS):
        return min(positive), high, True
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = _FLAT / 2 * abs(high) or 0.5
        return low - half, high + half, False
    return low, high, False

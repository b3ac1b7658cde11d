import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.models.figures.axis_range import AxisRange, axis_range

VALUES = st.floats(-1e12, 1e12, allow_subnormal=False)


def share(span: AxisRange, values: list[float]) -> float:
    """The share of the axis that values take."""
    scale = math.log10 if span.is_log else float
    ends = [scale(value) for value in values]
    return (max(ends) - min(ends)) / (scale(span.high) - scale(span.low))


@given(st.lists(VALUES, min_size=1), st.lists(VALUES, max_size=4))
def test_every_value_is_on_the_axis_and_takes_a_third_of_it(values: list[float], references: list[float]) -> None:
    span = axis_range(values, references)
    assert math.isfinite(span.low)
    assert span.low < span.high < math.inf
    shown = [value for value in values if value > 0 or not span.is_log]
    assert all(span.low <= value <= span.high for value in shown)
    if len(set(shown)) > 1 and max(shown) - min(shown) > 1e-6 * max(map(abs, shown)):
        assert share(span, shown) > 1 / 3


@given(st.lists(VALUES, min_size=1))
def test_values_end_near_both_ends_of_the_axis_without_references(values: list[float]) -> None:
    shown = [value for value in values if value > 0 or not axis_range(values, []).is_log]
    if max(shown) - min(shown) > 1e-6 * max(map(abs, shown)):
        assert share(axis_range(values, []), shown) > 0.9


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([0.05, 0.02], False),
        ([0.5, 0.02], True),
        ([0.5, 0.0], False),
        ([0.5, 0.0, 1e-4], True),
        ([-0.5, 100.0], False),
        ([1e12, 1.0, math.inf, math.nan], True),
        ([0.3], False),
    ],
)
def test_values_over_a_decade_take_a_logarithmic_axis(values: list[float], *, is_log: bool) -> None:
    assert axis_range(values, []).is_log == is_log


def test_references_are_on_the_axis_if_they_leave_the_values_enough_of_it() -> None:
    span = axis_range([0.03, 0.06], [0.07, 0.001, 0.02, math.nan])
    assert span.low < 0.02
    assert span.high > 0.07
    assert axis_range([0.03, 0.06], [0.2]).high < 0.07
    assert axis_range([0.3, 0.01], [0.0]).is_log


def test_values_below_the_floor_leave_the_axis_to_the_others() -> None:
    assert -1.2 < axis_range([-40.0, -1.0, 0.9], [], floor=-1.0).low < -1.0
    assert axis_range([-40.0, -30.0], [], floor=-1.0).low < -40


def test_no_finite_value_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        axis_range([math.nan], [])

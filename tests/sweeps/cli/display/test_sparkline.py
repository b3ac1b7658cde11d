"""A curve as characters."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sweeps.cli.display.sparkline import ASCII, BLOCKS, sparkline


def test_values_go_from_the_lowest_to_the_highest_character() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS
    assert sparkline([7, 0], 8, ASCII) == "#_"
    assert sparkline([2.0, 2.0], 8) == "▁▁"
    assert sparkline([], 8) == ""


def test_more_values_than_characters_are_averaged() -> None:
    assert sparkline([1, 3, 4, 4], 2) == "▁█"


def test_a_loss_that_falls_by_decades_stays_readable() -> None:
    assert len(set(sparkline([1000.0, 100.0, 10.0, 1.0], 8))) == 4


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 30))
def test_it_never_exceeds_its_width_and_reaches_both_ends(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set(BLOCKS)
    if len(values) <= width and not math.isclose(min(values), max(values)):
        assert {BLOCKS[0], BLOCKS[-1]} <= set(line)

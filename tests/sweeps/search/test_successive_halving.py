"""Who leaves a pack at a rung."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config.objective import ObjectiveConfig
from sweeps.search.successive_halving import Halving

ERROR = ObjectiveConfig(metric="valid/mse")
VALUES = st.floats(allow_nan=True, allow_infinity=True)


def test_the_best_third_stays() -> None:
    values_by_id = {name: float(value) for name, value in zip("abcdefg", (3, 1, 4, 1.5, 9, 2, 6), strict=True)}
    assert sorted(Halving(ERROR, 3, "asha").leaving(values_by_id)) == ["a", "c", "e", "f", "g"]


def test_higher_is_better_where_the_objective_is_maximized() -> None:
    assert Halving(ObjectiveConfig(metric="valid/r2"), 2, "asha").leaving({"a": 0.5, "b": 0.9}) == ["a"]


def test_of_equal_values_the_first_stays() -> None:
    assert Halving(ERROR, 2, "asha").leaving({"a": 0.5, "b": 0.5}) == ["b"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_the_worst(bad: float) -> None:
    assert Halving(ERROR, 2, "asha").leaving({"a": bad, "b": 0.5}) == ["a"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_all_stay_at_a_rung_that_measured_nothing(bad: float) -> None:
    assert Halving(ERROR, 2, "asha").leaving({"a": bad, "b": bad, "c": bad}) == []


@given(values=st.lists(VALUES, max_size=12), factor=st.integers(2, 5))
def test_one_in_so_many_stays_and_none_that_leaves_was_better(values: list[float], factor: int) -> None:
    values_by_id = {str(index): value for index, value in enumerate(values)}
    leaving = Halving(ERROR, factor, "asha").leaving(values_by_id)
    staying = [value for name, value in values_by_id.items() if name not in leaving]
    measured = any(map(math.isfinite, values))
    assert len(staying) == (min(len(values), max(1, len(values) // factor)) if measured else len(values))
    assert not any(ERROR.is_better(values_by_id[name], value) for name in leaving for value in staying)

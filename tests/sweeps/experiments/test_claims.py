"""The text of a claim's result, and its verdict."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.experiments.claims import (
    ClaimResult,
    ClaimRow,
    ClaimVerdict,
    RecipeVariant,
    counted,
    median,
    number,
    spread,
)

NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("reached", "verdict"), [(True, ClaimVerdict.REACHED), (False, ClaimVerdict.MISSED), (None, ClaimVerdict.NO_TARGET)]
)
def test_a_result_without_a_target_neither_reaches_nor_misses(reached: bool | None, verdict: ClaimVerdict) -> None:
    assert ClaimResult("1", (1.0,), reached).verdict is verdict


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_half_of_the_values_lie_on_either_side_of_the_median(values: list[float]) -> None:
    middle = median(values)
    assert sum(value < middle for value in values) <= len(values) / 2
    assert sum(value > middle for value in values) <= len(values) / 2


def test_a_failed_trial_leaves_no_median_and_counts_as_not_reached() -> None:
    values = [0.1, 0.2, math.nan]
    assert math.isnan(median(values))
    assert not counted(values, lambda value: value < 1, at_least=3).reached
    assert counted(values, lambda value: value < 1, at_least=2).ours == "2 of 3, 0.1 to 0.2"


def test_the_spread_of_one_value_is_that_value() -> None:
    assert spread([0.1234, 0.1234], ".2f") == "0.12"
    assert spread([math.nan]) == "no value"


@pytest.mark.parametrize(
    ("value", "form", "text"), [(7.15e-6, ".2e", "7.15e-6"), (0.0, ".1e", "0"), (0.5, ".2f", "0.50")]
)
def test_exponents_are_written_without_leading_zeros(value: float, form: str, text: str) -> None:
    assert number(value, form) == text


def test_a_row_is_plain_json_without_nan() -> None:
    row = ClaimRow("blobs", "MSE", "1", "2", (1.0, math.nan), "3", ClaimVerdict.MISSED, ("blobs-1",), 5)
    printed = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert (printed["values"], printed["verdict"], printed["sweeps"]) == ([1.0, None], "missed", ["blobs-1"])


def test_a_variant_has_a_name_of_its_own_in_the_experiment_of_its_recipe() -> None:
    config = RecipeVariant("identity-uniform84", "5-features", ("data.n_features=5",)).config()
    assert (config.name, config.experiment) == ("identity-uniform84-5-features", "identity-uniform84")
    assert config.trial.data.model_dump()["n_features"] == 5

"""A paired bootstrap agrees with the closed form on better, worse and tie, without a bias."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.registry.significance import Comparison, GateOutcome, compare


def test_interval_agrees_with_the_normal_theory_of_paired_differences() -> None:
    generator = np.random.default_rng(0)
    other = generator.gamma(2.0, 1.0, 2000)
    challenger = other + generator.normal(-0.02, 0.3, 2000)
    found = compare(challenger, other, 0.95)
    difference = challenger - other
    half = 1.959964 * difference.std(ddof=1) / math.sqrt(2000)
    assert found.difference == pytest.approx(difference.mean())
    assert (found.low, found.high) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=half / 10)


def test_pairing_finds_a_difference_far_smaller_than_the_spread_of_the_samples() -> None:
    other = np.random.default_rng(1).gamma(2.0, 10.0, 500)
    assert compare(other - 0.01, other, 0.95).outcome is GateOutcome.PASSED
    assert compare(other + 0.01, other, 0.95).outcome is GateOutcome.FAILED


def test_two_samples_have_an_interval_and_one_has_none() -> None:
    other = np.asarray([1.0, 2.0])
    two, one = compare(other - 0.5, other, 0.95), compare(other[:1] - 0.5, other[:1], 0.95)
    assert (two.low, two.high) == (-0.5, -0.5)
    assert (one.low, one.high, one.outcome) == (-math.inf, math.inf, GateOutcome.TIE)


def test_the_same_model_twice_is_a_tie() -> None:
    losses = np.random.default_rng(2).random(100)
    found = compare(losses, losses, 0.95)
    assert (found.outcome, found.low, found.high) == (GateOutcome.TIE, 0.0, 0.0)


def test_models_that_differ_by_chance_alone_tie_as_often_as_the_confidence_says() -> None:
    generator = np.random.default_rng(3)
    outcomes = [compare(*generator.normal(1, 0.1, (2, 200)), 0.95).outcome for _ in range(200)]
    ties = outcomes.count(GateOutcome.TIE) / len(outcomes)
    assert 0.9 <= ties <= 0.99


def test_more_confidence_widens_the_interval() -> None:
    challenger, other = np.random.default_rng(4).random((2, 300))
    narrow, wide = compare(challenger, other, 0.8), compare(challenger, other, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=2, max_size=40))
def test_swapping_the_models_swaps_the_verdict(pairs: list[tuple[float, float]]) -> None:
    challenger, other = np.array(pairs).T
    forth, back = compare(challenger, other, 0.9), compare(other, challenger, 0.9)
    swapped = {
        GateOutcome.PASSED: GateOutcome.FAILED,
        GateOutcome.FAILED: GateOutcome.PASSED,
        GateOutcome.TIE: GateOutcome.TIE,
    }
    assert back.low == pytest.approx(-forth.high, abs=1e-9)
    if min(abs(forth.low), abs(forth.high)) > 1e-9:
        assert back.outcome is swapped[forth.outcome]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_never_wins(broken: float) -> None:
    with np.errstate(invalid="ignore"):
        assert compare(np.array([0.0, broken]), np.array([1.0, 1.0]), 0.95).outcome is GateOutcome.FAILED


def test_a_single_sample_decides_nothing() -> None:
    assert compare(np.array([0.0]), np.array([1.0]), 0.95).outcome is GateOutcome.TIE


def test_a_comparison_describes_both_means_and_the_interval() -> None:
    described = Comparison(0.041, 0.048, -0.0081, -0.0062, 0.95).describe("version 3")
    assert described == (
        "better than version 3: 0.041 against 0.048, difference -0.007 (95 % interval -0.0081 to -0.0062)"
    )

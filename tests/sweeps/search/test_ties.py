"""Simultaneous intervals of differences between trials: their level, their power, and what must not change them."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sweeps.search.ties import FEWEST_SAMPLES, Differences, differences

Values = NDArray[Any]


def equal_trials(seed: int, n_trials: int, n_samples: int, n_epochs: int = 1) -> Values:
    """Equal trials with skewed errors that share hard samples; of correlated epochs, each takes its best."""
    generator = np.random.default_rng(seed)
    hardness = generator.exponential(size=n_samples)
    own = generator.normal(size=(n_trials, 1, n_samples))
    epochs = generator.normal(size=(n_trials, n_epochs, n_samples))
    noise = 0.9**0.5 * own + 0.1**0.5 * epochs  # (trials, epochs, samples), epochs are near copies
    values = hardness * np.exp(0.3 * noise)
    best = values.mean(axis=2).argmin(axis=1)
    return np.asarray(values[np.arange(n_trials), best])


def from_leader(values: Values) -> Differences:
    return differences(values, int(values.mean(axis=1).argmin()))


@pytest.mark.parametrize(("n_trials", "n_samples", "n_epochs"), [(2, 100, 1), (8, 100, 1), (16, 200, 1), (8, 200, 20)])
def test_among_equal_trials_a_false_better_is_as_rare_as_stated(n_trials: int, n_samples: int, n_epochs: int) -> None:
    n_sweeps = 300
    n_false = sum(
        not from_leader(equal_trials(seed, n_trials, n_samples, n_epochs)).are_ties.all() for seed in range(n_sweeps)
    )

    # At the stated 5 %, more than 25 of 300 have a probability of 0.4 % (binomial).
    assert n_false <= 25


def test_wrong_answers_have_the_stated_level_too() -> None:
    n_false = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        chance = generator.beta(0.5, 5, size=200)  # a few samples are hard for all
        wrong = generator.random((10, 200)) < chance
        n_false += not from_leader(wrong.astype(np.float32)).are_ties.all()

    assert n_false <= 25


def test_trials_of_very_different_spread_do_not_hide_the_level_of_the_others() -> None:
    n_false = 0
    for seed in range(300):
        equal = equal_trials(seed, 8, 100)
        bad = np.random.default_rng(1000 + seed).exponential(20, size=(6, 100))
        n_false += not from_leader(np.concatenate([equal, bad])).are_ties[:8].all()

    assert n_false <= 25


def test_a_planted_better_trial_is_told_from_all_others() -> None:
    values = equal_trials(0, 16, 500)
    values[5] *= 0.8

    assert from_leader(values).are_ties.tolist() == [trial == 5 for trial in range(16)]


def test_two_equal_leaders_tie_and_the_rest_does_not() -> None:
    values = equal_trials(1, 12, 500)
    values[[2, 7]] *= 0.8

    assert np.flatnonzero(from_leader(values).are_ties).tolist() == [2, 7]


@given(seed=st.integers(0, 10_000), n_trials=st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_trials_changes_no_interval(seed: int, n_trials: int) -> None:
    values = equal_trials(seed, n_trials, 40)
    values[0] *= 1.5
    order = np.random.default_rng(seed).permutation(n_trials)
    leader = int(values.mean(axis=1).argmin())

    given_order = differences(values, leader)
    shuffled = differences(values[order], int(np.flatnonzero(order == leader)[0]))

    np.testing.assert_allclose(shuffled.low, given_order.low[order], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(shuffled.high, given_order.high[order], rtol=1e-3, atol=1e-5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_leader_and_its_duplicate_tie_with_it(seed: int) -> None:
    values = equal_trials(seed, 4, 40)
    leader = int(values.mean(axis=1).argmin())
    found = differences(np.concatenate([values, values[[leader]]]), leader)

    assert found.are_ties[leader]
    assert found.are_ties[-1]
    assert found.mean[-1] == found.low[leader] == found.high[leader] == 0


def test_identical_trials_all_tie_and_a_constant_difference_does_not() -> None:
    values = np.tile(equal_trials(0, 1, 50), (4, 1))
    assert differences(values, 0).are_ties.all()

    values[3] += 0.1
    assert differences(values, 0).are_ties.tolist() == [True, True, True, False]


def test_the_interval_of_two_trials_is_that_of_their_paired_differences() -> None:
    values = equal_trials(3, 2, 400)
    gaps = values[1] - values[0]
    error = gaps.std(ddof=1) / np.sqrt(len(gaps))

    found = differences(values, 0)

    assert found.mean[1] == pytest.approx(gaps.mean())
    # Two trials need no correction: 1.96 standard errors, up to the skew and the resamples.
    assert (found.high[1] - found.low[1]) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {FEWEST_SAMPLES} samples, not 5"):
        differences(np.zeros((3, 5)), 0)


def test_a_thousand_trials_take_about_a_second() -> None:
    values = equal_trials(0, 1000, 1000)
    start = time.process_time()
    from_leader(values)

    assert time.process_time() - start < 4  # a loaded machine; measured: 0.9 s

"""The curve of random search against a closed form and against resampling; the best so far against pandas."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_sweeps import PlantedTrial, additive_sweep, planted_config, record

from sweeps.analysis.convergence import convergence, random_search_curve

losses = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@pytest.mark.parametrize("values", [[3.0], [2.0, 1.0], [4.0, 1.0, 3.0, 3.0, 0.5]])
def test_expected_curve_is_the_mean_over_all_subsets(values: list[float]) -> None:
    expected, low, high = random_search_curve(values)
    for k in range(1, len(values) + 1):
        lowest = [min(subset) for subset in itertools.combinations(values, k)]
        assert expected[k - 1] == pytest.approx(np.mean(lowest))
        assert low[k - 1] == np.quantile(lowest, 0.05, method="inverted_cdf")
        assert high[k - 1] == np.quantile(lowest, 0.95, method="inverted_cdf")


@given(losses)
def test_curves_fall_and_end_at_the_lowest_loss(values: list[float]) -> None:
    expected, low, high = random_search_curve(values)
    slack = 1e-9 * max(1.0, *map(abs, values))
    for curve in (expected, low, high):
        assert np.all(np.diff(curve) <= slack)
        assert curve[-1] == pytest.approx(min(values), abs=slack)
    assert expected[0] == pytest.approx(np.mean(values), abs=slack)
    assert np.all(low <= high)


@given(losses, st.randoms())
def test_order_of_the_losses_does_not_matter(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for one, other in zip(random_search_curve(values), random_search_curve(shuffled), strict=True):
        np.testing.assert_array_equal(one, other)


def test_best_so_far_follows_the_order_of_the_ends() -> None:
    result = additive_sweep(20)
    curve, frame = convergence(result), result.trials().sort_index()  # planted trials end in the order of their ids
    assert list(curve.trials) == list(frame.index)
    assert list(curve.best_so_far) == list(frame["valid/mse"].cummin())


def test_a_maximized_objective_rises() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}}
    trials = [
        PlantedTrial({"model.noise.level": 0.01 * index}, [{"valid/r2": value}], start_ms=1000 * (3 - index))
        for index, value in enumerate([0.4, 0.9, 0.2])
    ]
    curve = convergence(record(planted_config(search, objective={"metric": "valid/r2"}), trials))
    assert curve.trials == ("0002", "0001", "0000")
    assert curve.values == (0.2, 0.9, 0.4)
    assert curve.best_so_far == tuple(pd.Series(curve.values).cummax())
    assert curve.expected == pytest.approx((0.5, (0.9 + 0.9 + 0.4) / 3, 0.9))
    assert (curve.low[0], curve.high[0]) == (0.2, 0.9)


def test_without_ranked_trials_the_curve_is_empty() -> None:
    assert convergence(record(planted_config(), [])).expected == ()

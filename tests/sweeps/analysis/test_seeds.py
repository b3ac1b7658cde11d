import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweeps.analysis.seeds import Repeated, in_words, interval_of_mean, is_better, rank_by_mean, repeated_points
from sweeps.config import ObjectiveConfig, SweepConfig
from sweeps.tracking.journal.records import PointState

LOSS = ObjectiveConfig(metric="valid/mse")
GAIN = ObjectiveConfig(metric="valid/r2", direction="maximize")


@dataclass(frozen=True)
class Trial:
    trial: str
    point: dict[str, Any]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Point:
    point_id: str
    point: dict[str, Any]
    state: PointState = PointState.FINISHED


@dataclass(frozen=True)
class Result:
    """What the ranking by mean reads of a sweep's result."""

    config: SweepConfig
    points: list[Point]
    ranking: list[Trial]
    objective_metrics: tuple[str, ...] = field(default=("valid/mse",))


def result_of(losses: dict[int, list[float]], metric: str = "valid/mse") -> Any:
    """A sweep over hidden sizes and seeds: by size, the loss of each seed; NaN if the trial failed."""
    config = SweepConfig.from_dict(
        {
            "name": "test",
            "data": {"name": "digits"},
            "model": {"name": "shallow"},
            "search": {"model.hidden_size": {"choice": list(losses)}, "training.seed": {"int": [0, 99]}},
            "objective": {"metric": metric, "direction": "maximize" if metric == "valid/r2" else "minimize"},
            "budget": {"trials": 4},
        }
    )
    points, ranking = [], []
    for size, values in losses.items():
        for seed, value in enumerate(values):
            point = {"model.hidden_size": size, "training.seed": seed}
            points.append(
                Point(f"{size}-{seed}", point, PointState.FAILED if math.isnan(value) else PointState.FINISHED)
            )
            if not math.isnan(value):
                ranking.append(Trial(f"{size}-{seed}", point, {metric: value}))
    return Result(config, points, ranking, (metric,))


def test_points_that_differ_in_their_seed_alone_are_one_point() -> None:
    found = repeated_points(result_of({8: [0.3, math.nan, 0.1], 16: [0.2]}))
    assert found == [Repeated({"model.hidden_size": 8}, {0: "8-0", 1: "8-1", 2: "8-2"}, {0: 0.3, 2: 0.1})]


def test_a_sweep_without_repeated_seeds_has_no_means() -> None:
    assert rank_by_mean(result_of({8: [0.3], 16: [0.2]})) == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=10), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_that_of_scipy(values: list[float], confidence: float) -> None:
    low, high = interval_of_mean(values, confidence)
    error = float(stats.sem(values))
    if error > 1e-9 * max(map(abs, values)):
        expected = stats.t.interval(confidence, len(values) - 1, loc=np.mean(values), scale=error)
        assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert low <= np.mean(values) + 1e-9
    assert high >= np.mean(values) - 1e-9


def test_a_single_seed_leaves_the_mean_unbounded() -> None:
    assert interval_of_mean([0.5], 0.95) == (-math.inf, math.inf)


@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=8), st.sampled_from([LOSS, GAIN])
)
def test_better_is_the_verdict_of_the_paired_t_test(
    pairs: list[tuple[float, float]], objective: ObjectiveConfig
) -> None:
    one = Repeated({}, {}, {seed: value for seed, (value, _) in enumerate(pairs)})
    other = Repeated({}, {}, {seed: value for seed, (_, value) in enumerate(pairs)})
    gains = np.array([second - first for first, second in pairs]) * (1 if objective is LOSS else -1)
    steps = np.diff(np.unique(np.array(pairs).ravel()))
    if np.std(gains, ddof=1) < max(1e-6, steps.min(initial=np.inf) if len(steps) else 0.0):
        return  # the step of the metric counts
    p_value = stats.ttest_1samp(gains, 0.0, alternative="greater").pvalue
    level = 0.05 / 6  # all ordered pairs of three points
    if abs(p_value - level) > 1e-9:
        assert is_better(one, other, objective, n_points=3, confidence=0.95) == (p_value < level)


def test_only_seeds_that_both_have_are_compared() -> None:
    one, other = Repeated({}, {}, {0: 1.0, 1: 1.1}), Repeated({}, {}, {2: 5.0, 3: 5.1})
    assert not is_better(one, other, LOSS, n_points=2, confidence=0.95)


def test_a_planted_winner_leads_alone_and_equal_points_tie() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(0, 0.05, 6)  # what a seed does to every point
    losses = {
        size: list(level + shared + random.normal(0, 0.002, 6)) for size, level in [(8, 0.5), (16, 0.3), (32, 0.5)]
    }
    ranked = rank_by_mean(result_of(losses))
    assert ranked[0].label == "h=16"
    assert [mean.is_tied for mean in ranked] == [True, False, False]
    assert in_words(ranked) == "number 1 is better than the others at 95 % confidence, over 6 seeds"
    tied = rank_by_mean(result_of({8: losses[8], 16: [1.0] * 6, 32: losses[32]}))
    assert [mean.is_tied for mean in tied] == [True, True, False]
    assert (
        in_words(tied)
        == "statistical tie: number 2 is not significantly worse than number 1 at 95 % confidence, over 6 seeds"
    )


def test_a_maximized_objective_puts_the_highest_mean_first() -> None:
    ranked = rank_by_mean(result_of({8: [0.5, 0.6], 16: [0.8, 0.9]}, "valid/r2"))
    assert [mean.label for mean in ranked] == ["h=16", "h=8"]
    assert ranked[0].mean == pytest.approx(0.85)


@pytest.mark.parametrize(("n_points", "n_seeds"), [(3, 3), (5, 3), (3, 5)])
def test_equal_points_of_a_coarse_metric_are_seldom_called_different(n_points: int, n_seeds: int) -> None:
    """The values are shares of misclassified samples, of 1,000: equal gains on all seeds happen by chance."""
    random = np.random.default_rng(2)
    false = 0
    for values in np.round(random.normal(0.3, 0.003, (600, n_points, n_seeds)), 3):
        ranked = rank_by_mean(result_of({8 * (row + 1): list(losses) for row, losses in enumerate(values)}))
        false += not all(mean.is_tied for mean in ranked)
    assert false <= stats.binom.ppf(0.999, 600, 0.05)


def test_equal_points_are_seldom_called_different() -> None:
    """Of 1,000 sweeps of 4 equal points on 5 seeds, the leader is called better in at most 5 %, with binomial error."""
    random = np.random.default_rng(1)
    false = 0
    for values in random.normal(0.3, 0.05, (1000, 4, 5)):
        ranked = rank_by_mean(result_of({8 * (row + 1): list(losses) for row, losses in enumerate(values)}))
        false += not all(mean.is_tied for mean in ranked)
    assert false <= stats.binom.ppf(0.999, 1000, 0.05)

"""The best value so far against trials, and what random search would have reached on the same trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.analysis.axes import is_better_low
from sweeps.tracking.sweep_result import SweepResult

BAND = (0.05, 0.95)


@dataclass(frozen=True)
class Convergence:
    """The curve of a sweep over its ranked trials, in the order in which they ended.

    `best_so_far` is the best value after each trial. `expected` is the mean of that over all orders of the same trials,
    and `low` to `high` hold 90 % of the orders: what random search would give. Entry 0 is after the first trial.
    """

    metric: str
    trials: tuple[str, ...]
    values: tuple[float, ...]
    best_so_far: tuple[float, ...]
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def convergence(result: SweepResult, objective_index: int = 0) -> Convergence:
    """Return the convergence of a sweep in one objective; empty without ranked trials."""
    import numpy as np

    metric = result.objective_metrics[objective_index]
    ends = {point.point_id: (point.end_ms or 0, point.index) for point in result.points}
    ended = sorted(result.ranking, key=lambda trial: ends[trial.trial])
    values = np.array([trial.metrics[metric] for trial in ended])
    sign = 1.0 if is_better_low(result, objective_index) else -1.0
    best = sign * np.minimum.accumulate(sign * values)
    expected, low, high = (sign * curve for curve in random_search_curve(sign * values))
    if sign < 0:
        low, high = high, low
    return Convergence(
        metric,
        tuple(trial.trial for trial in ended),
        *(tuple(map(float, curve)) for curve in (values, best, expected, low, high)),
    )


def random_search_curve(losses: Sequence[float] | Any) -> tuple[Any, Any, Any]:
    """Return the mean, the 5 % and the 95 % quantile of the lowest of k losses, for each k from 1 to their number.

    The k losses are drawn without replacement: the lowest of k is at most the i-th smallest of n with a probability of
    1 - C(n - i, k) / C(n, k). (Dodge et al. 2019, "Show Your Work", draw with replacement, which would not end at the
    best loss.)
    """
    import numpy as np

    ordered = np.sort(np.asarray(losses, dtype=np.float64))
    n = len(ordered)
    expected, low, high = np.empty(n), np.empty(n), np.empty(n)
    ranks = np.arange(n)
    above = np.ones(n)  # probability that no drawn loss is among the smallest 0 to n - 1: after k draws
    for k in range(1, n + 1):
        # C(n - i, k) / C(n, k) = product over j < k of (n - i - j) / (n - j)
        above = above * np.maximum(0, n - ranks - (k - 1)) / (n - (k - 1))
        beyond = np.append(above[1:], 0.0)  # probability that the lowest is above the i-th smallest
        expected[k - 1] = ordered @ (above - beyond)
        below = 1 - beyond
        low[k - 1] = ordered[min(n - 1, int(np.searchsorted(below, BAND[0] - 1e-12)))]
        high[k - 1] = ordered[min(n - 1, int(np.searchsorted(below, BAND[1] - 1e-12)))]
    return expected, low, high

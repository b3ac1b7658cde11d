"""Tests whether a setting has any effect on an objective: F-tests on ranks."""

from collections.abc import Sequence
from typing import Any

from sweeps.analysis.axes import Axis

# For a test of one setting beside all others. With fewer, chance alone makes settings go together, which hides their
# effects: each is then tested by itself.
MIN_TRIALS_PER_COLUMN = 4


def effect_p_values(found: Sequence[Axis], places: Any, objective: Any, level: float) -> tuple[list[float], list[bool]]:
    """Return a p-value for each setting, and whether it is below `level` after Holm's correction.

    The rank of the objective is regressed on all settings, or on one alone if there are few trials: a number counts
    with its square, a choice with its categories. The F-test compares the fit with the one without the setting (Conover
    and Iman 1981 for the ranks). It sees the effect of a setting by itself, not one that only shows together with
    another setting.
    """
    from scipy.stats import rankdata

    ranks = rankdata(objective)
    columns = [_columns(axis, places[:, index]) for index, axis in enumerate(found)]
    n_columns = 1 + sum(part.shape[1] for part in columns)
    jointly = len(ranks) >= MIN_TRIALS_PER_COLUMN * n_columns
    p_values = []
    for index, own in enumerate(columns):
        beside = [part for other, part in enumerate(columns) if other != index] if jointly else []
        p_values.append(_f_test(ranks, own, beside))
    return p_values, holm(p_values, level)


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Return which hypotheses Holm's step-down procedure rejects (Holm 1979)."""
    rejected = [False] * len(p_values)
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[index] > level / (len(p_values) - step):
            break
        rejected[index] = True
    return rejected


def _columns(axis: Axis, places: Any) -> Any:
    import numpy as np

    if axis.is_categorical:
        seen = np.unique(places)
        return (places[:, None] == seen[None, 1:]).astype(float)
    scaled = 2 * (places - axis.low) / (axis.high - axis.low) - 1
    return np.column_stack([scaled, scaled**2])


def _f_test(ranks: Any, own: Any, beside: Sequence[Any]) -> float:
    """Return the p-value of the columns of one setting, given those beside it."""
    import numpy as np
    from scipy.stats import f

    without = np.column_stack([np.ones(len(ranks)), *beside])
    full = np.column_stack([without, own])
    (restricted, n_restricted), (fitted, n_fitted) = _residual(without, ranks), _residual(full, ranks)
    gained, left = n_fitted - n_restricted, len(ranks) - n_fitted
    if gained <= 0 or left <= 0:
        return 1.0
    if fitted <= 1e-12 * restricted:
        return 0.0
    return float(f.sf((restricted - fitted) / gained / (fitted / left), gained, left))


def _residual(design: Any, target: Any) -> tuple[float, int]:
    """Return the residual sum of squares and the rank of a least-squares fit."""
    import numpy as np

    solution, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    return float(np.sum((target - design @ solution) ** 2)), int(rank)

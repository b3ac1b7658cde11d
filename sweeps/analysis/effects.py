"""The objective over single settings, and over the two most important ones as a model of it sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.analysis.axes import Axis, objective_values, ranked_axes
from sweeps.analysis.importance import Importance, importances
from sweeps.tracking.sweep_result import SweepResult

# Below it a surface shows noise: the share of the variance that predictions of left-out trials explain.
MIN_SKILL = 0.2
MIN_TRIALS = 10
# A Gaussian process takes time that grows with the cube of the trials.
MAX_TRIALS = 120
GRID = 25


@dataclass(frozen=True)
class Slice:
    """An objective over one setting: a value of both for each ranked trial, best first.

    `categories` holds the choices in order; empty for a range of numbers.
    """

    path: str
    is_log: bool
    categories: tuple[Any, ...]
    trials: tuple[str, ...]
    values: tuple[Any, ...]
    objectives: tuple[float, ...]


@dataclass(frozen=True)
class Surface:
    """An objective over two settings, as a Gaussian process predicts it, with the others where they are on average.

    `predicted[row][column]` is at `y_values[row]` and `x_values[column]`. `skill` is the share of the variance of
    left-out trials that it explains (leave-one-out R²). `points` are the trials: x, y and objective.
    """

    metric: str
    x: str
    y: str
    x_is_log: bool
    y_is_log: bool
    x_values: tuple[Any, ...]
    y_values: tuple[Any, ...]
    predicted: tuple[tuple[float, ...], ...]
    skill: float
    points: tuple[tuple[Any, Any, float], ...]


@dataclass(frozen=True)
class Effects:
    """Slices over all settings that vary, and the surface of the two most important ones.

    `surface` is None where a model has no skill or two settings are lacking; `why_no_surface` says which.
    """

    metric: str
    slices: tuple[Slice, ...]
    surface: Surface | None
    why_no_surface: str | None


def effects(result: SweepResult, objective_index: int = 0, importance: Importance | None = None) -> Effects:
    """Return the effects of the settings on an objective; `importance` is that of `importances`, if it is known."""
    found = ranked_axes(result)
    values = objective_values(result, objective_index)
    metric = result.objective_metrics[objective_index]
    trials = tuple(trial.trial for trial in result.ranking)
    slices = tuple(
        Slice(
            axis.path,
            axis.is_log,
            axis.categories,
            trials,
            tuple(trial.point[axis.path] for trial in result.ranking),
            tuple(values),
        )
        for axis in found
    )
    importance = importance or importances(result, objective_index)
    surface = _surface(result, found, values, importance)
    if isinstance(surface, str):
        return Effects(metric, slices, None, surface)
    return Effects(metric, slices, surface, None)


def _surface(
    result: SweepResult, found: Sequence[Axis], values: Sequence[float], importance: Importance
) -> Surface | str:
    """Return the surface, or why there is none."""
    if importance.too_few is not None:
        return importance.sentence
    by_path = {axis.path: axis for axis in found}
    leading = [by_path[setting.path] for setting in importance.settings[:2]]
    if len(leading) < 2:
        return "only one setting varies among the ranked trials"
    import numpy as np

    points = [trial.point for trial in result.ranking]
    objective = np.array(values)
    chosen = _sample(len(points))
    columns = [_columns(axis, [axis.place(points[index][axis.path]) for index in chosen]) for axis in found]
    model, skill = _fit(np.column_stack(columns), objective[chosen])
    if skill < MIN_SKILL:
        return (
            f"a model of the trials explains {max(0.0, skill):.0%} of the differences between trials that it has not "
            f"seen, and a surface needs at least {MIN_SKILL:.0%}"
        )
    first, second = leading
    xs, ys = _grid(first), _grid(second)
    predicted = _predict(model, found, columns, (first, second), (xs, ys))
    return Surface(
        metric=importance.metric,
        x=first.path,
        y=second.path,
        x_is_log=first.is_log,
        y_is_log=second.is_log,
        x_values=tuple(first.value(place) for place in xs),
        y_values=tuple(second.value(place) for place in ys),
        predicted=predicted,
        skill=skill,
        points=tuple(
            (point[first.path], point[second.path], value) for point, value in zip(points, values, strict=True)
        ),
    )


def _sample(n_trials: int) -> list[int]:
    """Return the trials that the model learns from: all, or as many as it can take, evenly along the ranking."""
    import numpy as np

    return [int(index) for index in np.linspace(0, n_trials - 1, min(n_trials, MAX_TRIALS)).round()]


def _columns(axis: Axis, places: Any) -> Any:
    """Return an axis as columns from 0 to 1: one for numbers, one for each choice without an order."""
    import numpy as np

    column = np.asarray(places, dtype=np.float64)
    if axis.is_categorical and not axis.is_ordered:
        return (column[:, None] == np.arange(len(axis.categories))[None, :]).astype(np.float64)
    return ((column - axis.low) / (axis.high - axis.low))[:, None]


def _fit(inputs: Any, objective: Any) -> tuple[Any, float]:
    """Return a Gaussian process of the objective, and its leave-one-out R² (Rasmussen and Williams 2006, eq. 5.12)."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    n_columns = inputs.shape[1]
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * RBF(np.full(n_columns, 0.5), (0.05, 50.0)) + WhiteKernel(
        0.1, (1e-4, 2.0)
    )
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound: the setting does nothing
        model.fit(inputs, objective)
    inverse = np.linalg.inv(model.kernel_(inputs))
    scaled = (objective - objective.mean()) / objective.std()
    errors = (inverse @ scaled) / np.diag(inverse)
    return model, float(1 - np.mean(errors**2))


def _grid(axis: Axis) -> list[float]:
    """Return places along an axis; every choice, and every whole number if they are few."""
    import numpy as np

    if axis.is_categorical:
        return [float(index) for index in range(len(axis.categories))]
    if axis.is_whole and not axis.is_log and axis.high - axis.low < GRID:
        return [float(place) for place in np.arange(axis.low, axis.high + 1)]
    return [float(place) for place in np.linspace(axis.low, axis.high, GRID)]


def _predict(
    model: Any,
    found: Sequence[Axis],
    columns: Sequence[Any],
    pair: tuple[Axis, Axis],
    grids: tuple[Sequence[float], Sequence[float]],
) -> tuple[tuple[float, ...], ...]:
    """Return the predictions on the grid, one row for each place of the second axis; the others at their means."""
    import numpy as np

    (first, second), (xs, ys) = pair, grids
    at_x, at_y = np.meshgrid(xs, ys)
    parts = []
    for axis, column in zip(found, columns, strict=True):
        if axis.path == first.path:
            parts.append(_columns(axis, at_x.ravel()))
        elif axis.path == second.path:
            parts.append(_columns(axis, at_y.ravel()))
        else:
            parts.append(np.broadcast_to(column.mean(axis=0), (at_x.size, column.shape[1])))
    predicted = model.predict(np.column_stack(parts)).reshape(at_x.shape)
    return tuple(tuple(float(value) for value in row) for row in predicted)

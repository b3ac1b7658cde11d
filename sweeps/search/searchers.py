"""How points are chosen: one interface, ask and tell, for random, grid and TPE.

The same seed gives the same points. Random and grid: the n-th is the n-th, whatever becomes of the others. TPE asks for
a batch at once, and for the next when the whole batch has ended, told in the order of the points.
"""

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sweeps.config import SweepConfig
from sweeps.config.search_space import Choices, Interval, Point, corners

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Proposal:
    """A point to train, and its place in the sweep, counted from 0."""

    index: int
    point: Point


@dataclass(frozen=True)
class Ended:
    """A point that was trained before: the value of each objective, None where it failed."""

    point: Point
    values: Sequence[float] | None


class PointSearcher(Protocol):
    """Chooses points: `ask` for some, `tell` what came of each."""

    @property
    def is_exhausted(self) -> bool:
        """Whether every point of the sweep has been given out."""

    def ask(self, n: int) -> list[Proposal]:
        """Up to `n` points to train now; fewer, or none, when more has to be told first or all are given out."""

    def tell(self, index: int, values: Sequence[float] | None) -> None:
        """The objectives' values that a point reached; None where it failed."""


def point_searcher(
    config: SweepConfig, ended: Mapping[int, Ended] | None = None, begun: Mapping[int, Point] | None = None
) -> PointSearcher:
    """The searcher of a sweep, as it stands when the points in `ended` have been told.

    The points in `begun` were given out and have not ended: they are given out again, as they were.
    """
    if config.algorithm.name == "tpe" and config.search:
        return TpeSearcher(config, ended or {}, begun or {})
    return IndependentSearcher(config, ended or {}, begun or {})


class IndependentSearcher:
    """Random or grid search: a point depends on its index alone."""

    def __init__(self, config: SweepConfig, ended: Mapping[int, Ended], begun: Mapping[int, Point]) -> None:
        self._config = config
        self._begun = begun
        self._to_come = deque(index for index in range(config.n_trials) if index not in ended)

    @property
    def is_exhausted(self) -> bool:
        """Whether every point has been given out."""
        return not self._to_come

    def ask(self, n: int) -> list[Proposal]:
        """The next points, as many as asked for while there are any."""
        indices = [self._to_come.popleft() for _ in range(min(n, len(self._to_come)))]
        return [Proposal(index, self._begun.get(index) or self._point(index)) for index in indices]

    def tell(self, index: int, values: Sequence[float] | None) -> None:
        """Nothing to learn."""

    def _point(self, index: int) -> Point:
        return independent_point(self._config, index)


class TpeSearcher:
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), asked for whole batches."""

    def __init__(self, config: SweepConfig, ended: Mapping[int, Ended], begun: Mapping[int, Point]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._n_points = config.n_trials
        self._batch_size = config.algorithm.batch_size
        self._ended = dict(ended)
        self._recorded = {**begun, **{index: past.point for index, past in ended.items()}}
        self._search = config.search
        # By name, so that the order in the sweep file has no part in the result.
        self._distributions = {path: distribution(values) for path, values in sorted(self._search.items())}
        self._study = optuna.create_study(
            # The first batch is random, the second one learns from it already: sweeps are small.
            sampler=optuna.samplers.TPESampler(
                seed=config.algorithm.seed, n_startup_trials=config.algorithm.batch_size
            ),
            directions=[objective.direction for objective in config.objectives],
        )
        self._n_asked = 0
        self._waiting: deque[Proposal] = deque()
        self._batch: dict[int, optuna.Trial] = {}
        self._told: dict[int, Sequence[float] | None] = {}

    @property
    def is_exhausted(self) -> bool:
        """Whether every point has been given out."""
        return not self._waiting and self._n_asked >= self._n_points

    def ask(self, n: int) -> list[Proposal]:
        """Points of the batch, and of the next one only when all of this one have been told."""
        while not self._waiting and not self._batch and self._n_asked < self._n_points:
            self._open_batch()
        return [self._waiting.popleft() for _ in range(min(n, len(self._waiting)))]

    def tell(self, index: int, values: Sequence[float] | None) -> None:
        """What came of a point of the batch; Optuna hears of it when the batch is complete."""
        if index in self._batch:
            self._told[index] = values
        self._close_batch_when_complete()

    def _open_batch(self) -> None:
        last = min(self._n_asked + self._batch_size, self._n_points)
        for index in range(self._n_asked, last):
            trial = self._study.ask(self._distributions)
            self._batch[index] = trial
            if index in self._ended:
                self._told[index] = self._ended[index].values
            else:
                point = self._recorded.get(index) or _from_indices(self._search, trial.params)
                self._waiting.append(Proposal(index, point))
        self._n_asked = last
        self._close_batch_when_complete()

    def _close_batch_when_complete(self) -> None:
        if len(self._told) < len(self._batch):
            return
        for index, trial in sorted(self._batch.items()):
            self._learn(index, trial, self._told[index])
        self._batch.clear()
        self._told.clear()

    def _learn(self, index: int, trial: "optuna.Trial", values: Sequence[float] | None) -> None:
        """Tell Optuna; of a point recorded otherwise than it is asked for now, what the record says."""
        import optuna

        failed = values is None or not all(map(math.isfinite, values))
        recorded = self._recorded.get(index)
        if failed or (recorded is not None and recorded != _from_indices(self._search, trial.params)):
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, values)
            return
        if recorded is not None and not failed:
            params = _to_indices(self._search, recorded)
            past = optuna.trial.create_trial(params=params, distributions=self._distributions, values=values)
            self._study.add_trial(past)


def point_id(index: int) -> str:
    """The name of a point within its sweep."""
    return f"{index:04d}"


def independent_point(config: SweepConfig, index: int) -> Point:
    """The index-th point of a grid, or of random search, with which TPE begins in its own way."""
    if config.algorithm.name == "grid":
        return grid_point(config.search, index)
    return random_point(config.search, config.algorithm.seed, index)


def grid_point(search: Mapping[str, Choices | Interval], index: int) -> Point:
    """The index-th combination, the last path of the sweep file varying fastest."""
    combinations = itertools.product(*(corners(values) for values in search.values()))
    return dict(zip(search, next(itertools.islice(combinations, index, None)), strict=True))


def random_point(search: Mapping[str, Choices | Interval], seed: int, index: int) -> Point:
    """The index-th random point, each value drawn independently and evenly over its range, or over its logarithm.

    Drawn by name, so that the order in the sweep file has no part in the result.
    """
    random = np.random.default_rng([seed, index])
    drawn = {path: _draw(search[path], random) for path in sorted(search)}
    return {path: drawn[path] for path in search}


def _draw(values: Choices | Interval, random: np.random.Generator) -> Any:
    if isinstance(values, Choices):
        return values.values[random.integers(len(values.values))]
    if not values.is_log:
        if values.is_whole:
            return int(random.integers(int(values.low), int(values.high), endpoint=True))
        return float(random.uniform(values.low, values.high))
    # A whole number stands for all that are rounded to it, so that the ends are as likely as what lies between.
    margin = 0.5 if values.is_whole else 0.0
    drawn = math.exp(random.uniform(math.log(values.low - margin), math.log(values.high + margin)))
    drawn = min(max(drawn, values.low), values.high)
    return round(drawn) if values.is_whole else drawn


def distribution(values: Choices | Interval) -> "optuna.distributions.BaseDistribution":
    """Optuna's distribution of a range. A choice is known by its index, for Optuna takes no lists."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choices):
        return CategoricalDistribution(range(len(values.values)))
    if values.is_whole:
        return IntDistribution(int(values.low), int(values.high), log=values.is_log)
    return FloatDistribution(values.low, values.high, log=values.is_log)


def _from_indices(search: Mapping[str, Choices | Interval], params: Mapping[str, Any]) -> Point:
    """A point from Optuna's parameters."""
    return {
        path: values.values[params[path]] if isinstance(values, Choices) else params[path]
        for path, values in search.items()
    }


def _to_indices(search: Mapping[str, Choices | Interval], point: Point) -> dict[str, Any]:
    """Optuna's parameters from a point."""
    return {
        path: values.values.index(point[path]) if isinstance(values, Choices) else point[path]
        for path, values in search.items()
    }

"""Optuna's tree-structured Parzen estimator, asked for whole batches so that the same seed gives the same points."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweeps.config import SweepConfig
from sweeps.config.search_space import Choices, Interval, Point, SearchSpace
from sweeps.search.searchers.interface import Ended, Proposal
from sweeps.search.searchers.random_search import random_point

if TYPE_CHECKING:
    import optuna


class TpeSearcher:
    """Learns from results by TPE (Bergstra et al. 2011).

    It proposes the next batch once every point of the current one has ended, and gives Optuna the results in the order
    of the points.
    """

    def __init__(self, config: SweepConfig, ended: Mapping[int, Ended], unfinished: Mapping[int, Point]) -> None:
        self._config = config
        self._search = config.search
        self._ended = dict(ended)
        self._recorded = {**unfinished, **{index: point.point for index, point in ended.items()}}
        self._n_asked = 0
        self._waiting: deque[Proposal] = deque()
        self._batch: dict[int, optuna.Trial] = {}
        self._results: dict[int, Sequence[float] | None] = {}

    @property
    def is_exhausted(self) -> bool:
        """Whether every point has been proposed."""
        return not self._waiting and self._n_asked >= self._config.n_trials

    def ask(self, n: int) -> list[Proposal]:
        """Return points of the current batch; the next batch starts when every point of this one has a result."""
        while not self._waiting and not self._batch and self._n_asked < self._config.n_trials:
            self._start_batch()
        return [self._waiting.popleft() for _ in range(min(n, len(self._waiting)))]

    def tell(self, index: int, values: Sequence[float] | None) -> None:
        """Keep the result of a point; Optuna gets all results of a batch at once."""
        if index in self._batch:
            self._results[index] = values
        self._finish_batch_when_complete()

    def preview(self, n: int) -> list[Point]:
        """Return the first `n` points of random search: TPE's first batch is random, too."""
        seed = self._config.algorithm.seed
        return [random_point(self._search, seed, index) for index in range(min(n, self._config.n_trials))]

    @cached_property
    def _distributions(self) -> "dict[str, optuna.distributions.BaseDistribution]":
        # Sorted, so that the order of the search space in the sweep file does not affect the points.
        return {path: _distribution(values) for path, values in sorted(self._search.items())}

    @cached_property
    def _study(self) -> "optuna.Study":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        algorithm = self._config.algorithm
        return optuna.create_study(
            # Only the first batch is random: sweeps are small, so TPE learns from the second batch on.
            sampler=optuna.samplers.TPESampler(seed=algorithm.seed, n_startup_trials=algorithm.batch_size),
            directions=[objective.direction for objective in self._config.objectives],
        )

    def _start_batch(self) -> None:
        last = min(self._n_asked + self._config.algorithm.batch_size, self._config.n_trials)
        for index in range(self._n_asked, last):
            trial = self._study.ask(self._distributions)
            self._batch[index] = trial
            if index in self._ended:
                self._results[index] = self._ended[index].values
            else:
                point = self._recorded.get(index) or _from_indices(self._search, trial.params)
                self._waiting.append(Proposal(index, point))
        self._n_asked = last
        self._finish_batch_when_complete()

    def _finish_batch_when_complete(self) -> None:
        if len(self._results) < len(self._batch):
            return
        for index, trial in sorted(self._batch.items()):
            self._learn(index, trial, self._results[index])
        self._batch.clear()
        self._results.clear()

    def _learn(self, index: int, trial: "optuna.Trial", values: Sequence[float] | None) -> None:
        """Give Optuna a result. A recorded point that differs from what Optuna asks for now is added as a new trial."""
        import optuna

        failed = values is None or not all(map(math.isfinite, values))
        recorded = self._recorded.get(index)
        differs = recorded is not None and recorded != _from_indices(self._search, trial.params)
        if not failed and not differs:
            self._study.tell(trial, values)
            return
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if recorded is not None and not failed:
            params = _to_indices(self._search, recorded)
            earlier = optuna.trial.create_trial(params=params, distributions=self._distributions, values=values)
            self._study.add_trial(earlier)


def _distribution(values: Choices | Interval) -> "optuna.distributions.BaseDistribution":
    """Return Optuna's distribution of a range. A choice is represented by its index: Optuna accepts no lists."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choices):
        return CategoricalDistribution(range(len(values.values)))
    if values.is_whole:
        return IntDistribution(int(values.low), int(values.high), log=values.is_log)
    return FloatDistribution(values.low, values.high, log=values.is_log)


def _from_indices(search: SearchSpace, params: Mapping[str, Any]) -> Point:
    """Return the point that Optuna's parameters stand for."""
    return {
        path: values.values[params[path]] if isinstance(values, Choices) else params[path]
        for path, values in search.items()
    }


def _to_indices(search: SearchSpace, point: Point) -> dict[str, Any]:
    """Return Optuna's parameters for a point."""
    return {
        path: values.values.index(point[path]) if isinstance(values, Choices) else point[path]
        for path, values in search.items()
    }

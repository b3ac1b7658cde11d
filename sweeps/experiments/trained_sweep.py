"""The results of a finished sweep that claims are judged by: its trials' histories, diagnoses and networks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DataArrays
from sweeps.evaluation import data_of, evaluate, load_best_network, measure
from sweeps.models.networks.network import Network
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import RankedTrial, SweepResult


@dataclass(frozen=True, eq=False)
class TrainedTrial:
    """A finished trial."""

    sweep: "TrainedSweep"
    record: PointRecord
    ranked: RankedTrial

    @property
    def history(self) -> Mapping[int, Mapping[str, float]]:
        """Its metrics by epoch."""
        return self.sweep.histories[self.record.point_id]

    def metric(self, name: str) -> float:
        """Return a metric at the trial's best epoch."""
        return self.ranked.metrics[name]

    def curve(self, name: str) -> list[float]:
        """Return a metric's values over the epochs that recorded it, in order."""
        return [metrics[name] for _, metrics in sorted(self.history.items()) if name in metrics]

    @cached_property
    def network(self) -> Network:
        """The network of the best epoch, loaded from its checkpoint."""
        return load_best_network(self.sweep.result, self.record.point_id)

    @property
    def filters(self) -> NDArray[np.float64]:
        """The first layer's weights: (units, features)."""
        filters = self.network.first_layer_filters()
        assert filters is not None, "the networks of recipes have filters"
        return filters.detach().numpy().astype(np.float64)

    @property
    def findings(self) -> set[str]:
        """The names of the findings of its diagnosis."""
        return {str(finding["name"]) for finding in self.ranked.diagnosis or ()}

    def valid_metrics(self) -> dict[str, float]:
        """Measure the reloaded network on the validation split."""
        arrays = self.sweep.arrays
        return measure(self.network, self.sweep.result.config.trial_at(dict(self.record.point)), arrays, arrays.valid)

    def test_metrics(self) -> Mapping[str, float]:
        """Measure the reloaded network on the test split; the metrics are named `test/...`."""
        return evaluate(self.sweep.result, self.record.point_id).metrics

    @property
    def minutes(self) -> float:
        """The duration of the training, in minutes."""
        return math.nan if self.record.seconds is None else self.record.seconds / 60


@dataclass(frozen=True, eq=False)
class TrainedSweep:
    """A finished sweep."""

    result: SweepResult

    @cached_property
    def trials(self) -> list[TrainedTrial]:
        """The finished trials, in the order of their points."""
        ranked = {trial.trial: trial for trial in self.result.ranking}
        points = sorted(self.result.points, key=lambda point: point.index)
        return [TrainedTrial(self, point, ranked[point.point_id]) for point in points if point.point_id in ranked]

    @cached_property
    def histories(self) -> Mapping[str, Mapping[int, Mapping[str, float]]]:
        """The metrics of each finished trial by epoch; the journal is read once, for the first claim on a curve."""
        with read_journal(self.result.folder) as journal:
            return {ranked.trial: dict(journal.history(ranked.trial)) for ranked in self.result.ranking}

    @property
    def best(self) -> TrainedTrial:
        """The best trial: the only one of most recipes."""
        return next(trial for trial in self.trials if trial.ranked.trial == self.result.ranking[0].trial)

    @property
    def n_seeds(self) -> int:
        """The number of seeds that were trained, including failed trials."""
        config = self.result.config
        return len({config.trial_at(dict(point.point)).training.seed for point in self.result.points})

    def values(self, take: Callable[[TrainedTrial], float]) -> tuple[float, ...]:
        """Return `take` of each trial, in the order of their points; NaN for a failed trial."""
        taken = {trial.record.index: take(trial) for trial in self.trials}
        return tuple(taken.get(index, math.nan) for index in range(len(self.result.points)))

    @cached_property
    def arrays(self) -> DataArrays:
        """The data set of the sweep, with its test split."""
        return data_of(self.result)

    @property
    def column_mean(self) -> NDArray[np.float64]:
        """The mean of the training samples: (features,)."""
        mean: NDArray[np.float64] = self.arrays.train.inputs.mean(axis=0, dtype=np.float64) * self.arrays.scale
        return mean

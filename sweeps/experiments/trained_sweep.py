"""What a finished sweep has left, for claims to be judged by: histories, diagnoses and networks of its trials."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DataArrays
from sweeps.evaluation import data_of, evaluate, load_best_network, measure
from sweeps.models.networks.network import Network
from sweeps.storage.layout import find
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import RankedTrial, SweepResult


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished trial. `history` holds its metrics by epoch."""

    sweep: "FinishedSweep"
    record: PointRecord
    ranked: RankedTrial
    history: Mapping[int, Mapping[str, float]]

    def metric(self, name: str) -> float:
        """A metric at the epoch by which the trial is ranked."""
        return self.ranked.metrics[name]

    def curve(self, name: str) -> list[float]:
        """A metric over the epochs that have it, in their order."""
        return [metrics[name] for _, metrics in sorted(self.history.items()) if name in metrics]

    @cached_property
    def network(self) -> Network:
        """The network that was kept, read back from disk."""
        return load_best_network(self.sweep.result, self.record.point_id)

    @property
    def filters(self) -> NDArray[np.float64]:
        """The first layer's weights: (units, features)."""
        return self.network.first_layer_filters().detach().numpy().astype(np.float64)

    @property
    def findings(self) -> set[str]:
        """The names of what its diagnosis found."""
        return {str(finding["name"]) for finding in self.ranked.diagnosis or ()}

    def validated(self) -> dict[str, float]:
        """The metrics of the kept network on the validation split, measured afresh."""
        arrays = self.sweep.arrays
        return measure(self.network, self.sweep.result.config.trial_at(dict(self.record.point)), arrays, arrays.valid)

    def tested(self) -> Mapping[str, float]:
        """The `test/...` metrics of the kept network."""
        return evaluate(self.sweep.result, self.record.point_id).metrics

    @property
    def minutes(self) -> float:
        """How long the training took, in minutes."""
        return math.nan if self.record.end_ms is None else (self.record.end_ms - self.record.start_ms) / 60_000


@dataclass(frozen=True, eq=False)
class FinishedSweep:
    """A sweep that has ended."""

    result: SweepResult

    @cached_property
    def trials(self) -> list[Trained]:
        """Its finished trials, in the order of their points."""
        ranked = {trial.trial: trial for trial in self.result.ranking}
        with read_journal(find(self.result.sweep)) as journal:
            return [
                Trained(self, point, ranked[point.point_id], dict(journal.history(point.point_id)))
                for point in sorted(self.result.points, key=lambda point: point.index)
                if point.point_id in ranked
            ]

    @property
    def best(self) -> Trained:
        """The trial that leads the ranking: the only one of most recipes."""
        return next(trial for trial in self.trials if trial.ranked.trial == self.result.ranking[0].trial)

    @property
    def n_seeds(self) -> int:
        """With how many seeds it was trained; trials that failed count too."""
        config = self.result.config
        return len({config.trial_at(dict(point.point)).training.seed for point in self.result.points})

    def values(self, take: Callable[[Trained], float]) -> tuple[float, ...]:
        """A number of each trial, in the order of their points: NaN for one that failed."""
        taken = {trial.record.index: take(trial) for trial in self.trials}
        return tuple(taken.get(index, math.nan) for index in range(len(self.result.points)))

    @cached_property
    def arrays(self) -> DataArrays:
        """The data set it was run on, test split and all."""
        return data_of(self.result)

    @property
    def column_mean(self) -> NDArray[np.float64]:
        """The mean of the training samples: (features,)."""
        mean: NDArray[np.float64] = self.arrays.train.inputs.mean(axis=0, dtype=np.float64) * self.arrays.scale
        return mean

"""What a sweep has done already, read from its journal when it is resumed or extended."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.errors import ConfigError
from sweeps.search.ranking import EpochValue, best_epoch, epoch_values
from sweeps.search.searchers import Ended
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointRecord, PointState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult, read_result

# A point in one of these states has its result; a killed point resumes.
ENDED = (PointState.FINISHED, PointState.FAILED)


@dataclass(frozen=True)
class ResumeState:
    """The results of a sweep's earlier starts, for searcher, scheduler, callback and counters; empty for a new sweep.

    `ended` and `unfinished` are points by index. `ended_values` and `unfinished_values` hold the objective by epoch of
    ended points, and of unfinished points by id.
    """

    ended: Mapping[int, Ended] = field(default_factory=dict)
    unfinished: Mapping[int, Point] = field(default_factory=dict)
    ended_values: Sequence[tuple[Point, Sequence[EpochValue]]] = ()
    unfinished_values: Mapping[str, Sequence[EpochValue]] = field(default_factory=dict)
    result: SweepResult | None = None

    @property
    def ended_ids(self) -> frozenset[str]:
        """The ids of the points that have ended."""
        points = () if self.result is None else self.result.points
        return frozenset(point.point_id for point in points if point.state in ENDED)

    @property
    def is_measured(self) -> bool:
        """Whether a point has a value of the objective: the data can give it."""
        values = [*(values for _, values in self.ended_values), *self.unfinished_values.values()]
        return any(math.isfinite(value) for points in values for _, value in points)

    def n_remaining(self, config: SweepConfig) -> int:
        """Return the number of points that have not ended."""
        return config.n_trials - len(self.ended)


def read_resume_state(journal: Journal, folder: SweepFolder, config: SweepConfig) -> ResumeState:
    """Read what a sweep has done from its journal."""
    read_history = cache(journal.history)
    result = read_result(journal, folder, read_history)
    histories = {point.point_id: read_history(point.point_id) for point in result.points}
    values = {point_id: epoch_values(history, config.objectives[0]) for point_id, history in histories.items()}
    ended = [point for point in result.points if point.state in ENDED]
    unfinished = [point for point in result.points if point.state not in ENDED]
    return ResumeState(
        ended={p.index: Ended(dict(p.point), _objective_values(p, histories[p.point_id], config)) for p in ended},
        unfinished={point.index: dict(point.point) for point in unfinished},
        ended_values=[(dict(point.point), values[point.point_id]) for point in ended],
        unfinished_values={point.point_id: values[point.point_id] for point in unfinished},
        result=result,
    )


def count_ended(progress: Progress, state: ResumeState) -> None:
    """Add the points that have ended to the counters."""
    if state.result is None:
        return
    ended = [point for point in state.result.points if point.state in ENDED]
    for point, (_, values) in zip(ended, state.ended_values, strict=True):
        n_epochs = state.result.config.epochs_at(dict(point.point))
        progress.restore(point.point_id, point.label, n_epochs, point.state, values)


def extended(config: SweepConfig, n_more: int) -> SweepConfig:
    """Return the sweep with `n_more` more points, or the rest of its grid; raise ConfigError if none are left."""
    if not config.search:
        raise ConfigError(f"{config.name} must have a search space to be extended: without one it has a single point")
    longer = SweepConfig.restore(_with_trials(config.to_dict(), config.n_trials + n_more))
    if longer.n_trials == config.n_trials:
        raise ConfigError(
            f"{config.name} must have points left to be extended, and its algorithm {config.algorithm.name} has none "
            f"after these {config.n_trials}: run a sweep over other values"
        )
    return longer


def seconds_left(config: SweepConfig, journal: Journal) -> float:
    """Return the remaining seconds of a sweep's time budget; infinity without one."""
    return (config.budget.seconds or math.inf) - journal.seconds_spent()


def _with_trials(document: dict[str, Any], n_trials: int) -> dict[str, Any]:
    return document | {"budget": document.get("budget", {}) | {"trials": n_trials}}


def _objective_values(
    point: PointRecord, history: Sequence[tuple[int, Mapping[str, float]]], config: SweepConfig
) -> tuple[float, ...] | None:
    """Return a point's objectives at its best epoch; None if it failed or has none."""
    if point.state is PointState.FAILED:
        return None
    score = best_epoch(history, config.objectives)
    return None if score is None else score.values

"""What a sweep that goes on has done already, by its journal: which points have ended, and which it began."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.errors import ConfigError
from sweeps.search.ranking import EpochValue, best_epoch, epoch_values
from sweeps.search.searchers import Ended
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointRecord, PointState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult

# A point in one of these states has its result; what was killed is trained on.
ENDED = (PointState.FINISHED, PointState.FAILED)


@dataclass(frozen=True)
class ResumeState:
    """What searcher, scheduler and callback must know of a sweep that goes on; of a new one, nothing."""

    ended: Mapping[int, Ended] = field(default_factory=dict)
    begun: Mapping[int, Point] = field(default_factory=dict)
    ended_ids: frozenset[str] = frozenset()
    ended_values: Sequence[tuple[Point, Sequence[EpochValue]]] = ()
    begun_values: Mapping[str, Sequence[EpochValue]] = field(default_factory=dict)

    def n_left(self, config: SweepConfig) -> int:
        """How many points have yet to end."""
        return config.n_trials - len(self.ended)


def read_past(journal: Journal, config: SweepConfig) -> ResumeState:
    """What the journal of a sweep says of its points."""
    points = journal.points()
    ended = [point for point in points if point.state in ENDED]
    return ResumeState(
        ended={point.index: Ended(dict(point.point), _values(journal, point, config)) for point in ended},
        begun={point.index: dict(point.point) for point in points if point.state not in ENDED},
        ended_ids=frozenset(point.point_id for point in ended),
        ended_values=[(dict(p.point), epoch_values(journal.history(p.point_id), config.objectives[0])) for p in ended],
        begun_values={
            p.point_id: epoch_values(journal.history(p.point_id), config.objectives[0])
            for p in points
            if p.state not in ENDED
        },
    )


def count_past(progress: Progress, result: SweepResult) -> None:
    """Let the counters begin with what has ended."""
    for point in result.points:
        if point.state in ENDED:
            progress.point_ended(point.point_id, point.state)
    if result.best is not None:
        progress.best_point = result.best.trial
        progress.best_value = result.best.metrics[progress.objective.metric]


def extended(config: SweepConfig, n_more: int) -> SweepConfig:
    """The sweep with so many more points, or, of a grid, those that it has left; ConfigError where it has none left."""
    if not config.search:
        raise ConfigError(f"{config.name} must have a search space to be given more trials: it has one point only")
    longer = SweepConfig.restore(_with_trials(config.to_dict(), config.n_trials + n_more))
    if longer.n_trials == config.n_trials:
        raise ConfigError(
            f"{config.name} must have points left to be given more trials, and its grid of {config.n_trials} is "
            "complete: run a sweep over other values"
        )
    return longer


def seconds_left(config: SweepConfig, journal: Journal) -> float:
    """How much of its time budget a sweep has left, in seconds: without a budget, for ever."""
    return (config.budget.seconds or math.inf) - journal.seconds_spent()


def _with_trials(document: dict[str, Any], n_trials: int) -> dict[str, Any]:
    return document | {"budget": document.get("budget", {}) | {"trials": n_trials}}


def _values(journal: Journal, point: PointRecord, config: SweepConfig) -> tuple[float, ...] | None:
    """The objectives' values at the epoch by which a point ranks; None where it failed or has none."""
    if point.state is PointState.FAILED:
        return None
    score = best_epoch(journal.history(point.point_id), config.objectives)
    return None if score is None else score.values

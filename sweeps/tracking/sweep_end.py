"""How a sweep ended, written to its journal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.search.stopping import STOPPED_BY, STOPPED_EARLY
from sweeps.tracking.followed_point import FollowedPoint, follow
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import BestEpoch, EntryKind, PointState, SweepState
from sweeps.tracking.mlflow.detailed_figures import record_detailed_figures
from sweeps.tracking.mlflow.run_metadata import (
    BEST_PREFIX,
    BEST_TRIAL_TAG,
    EPOCHS_TAG,
    IMPORTANCE_PREFIX,
    TIE_TAG,
    ranking_description,
)
from sweeps.tracking.results import SECONDS, STARTUP_SECONDS, SweepResult
from sweeps.tracking.sweep_result import DEVICE_HOURS_TAG, ENDED_BY, QUOTED_SECONDS

# A trial's tag by whether it ties with the best.
_TIE = {True: "true", False: "false", None: ""}


@dataclass(frozen=True)
class SweepEnd:
    """When and how a start of a sweep ended, and how long it took; `startup_seconds` is None where no trial started.

    `device_hours` is the device time of all starts; None if no trial could run. `ended_by` is the budget that was used
    up, if any; `quoted_seconds` what `sweeps quote` predicted for the whole sweep.
    """

    state: SweepState
    time_ms: int
    seconds: float
    startup_seconds: float | None = None
    device_hours: float | None = None
    ended_by: str | None = None
    quoted_seconds: float | None = None


def state_of(result: SweepResult, *, interrupted: bool) -> SweepState:
    """Return how a sweep ended; a Ctrl-C after the end of the last trial does not count.

    A sweep that ranks no trial has FAILED: it has not measured what it was asked for.
    """
    if interrupted and (result.count(PointState.KILLED) or len(result.points) < result.config.n_trials):
        return SweepState.INTERRUPTED
    return SweepState.FINISHED if result.ranking else SweepState.FAILED


def record_end(journal: Journal, result: SweepResult, end: SweepEnd) -> None:
    """Record the end of a sweep, with its ranking for people who browse MLflow."""
    if result.config.figures.detailed == "finalists":
        for trial in result.finalists:
            record_detailed_figures(journal, result.folder.point(trial.trial), end.time_ms)
    tags = {SECONDS: f"{end.seconds:.3f}"}
    if end.startup_seconds is not None:
        tags[STARTUP_SECONDS] = f"{end.startup_seconds:.3f}"
    if end.device_hours is not None:
        tags[DEVICE_HOURS_TAG] = f"{end.device_hours:.6f}"
    if end.quoted_seconds is not None:
        tags[QUOTED_SECONDS] = f"{end.quoted_seconds:.3f}"
    cut_short = end.ended_by if _is_cut_short(result, end.ended_by) else None
    if cut_short or result.record.tags.get(ENDED_BY):
        tags[ENDED_BY] = cut_short or ""
    record_outcome(journal, result, end.state, tags, end.time_ms)


def _is_cut_short(result: SweepResult, ended_by: str | None) -> bool:
    """Return whether a budget ended the sweep before its last trial had ended by itself."""
    n_cut = sum(point.tags.get(STOPPED_EARLY) == ended_by for point in result.points)
    return ended_by is not None and (n_cut > 0 or result.n_ended < result.config.n_trials)


def record_outcome(
    journal: Journal, result: SweepResult, state: SweepState, tags: Mapping[str, str], time_ms: int
) -> None:
    """Record the state of a sweep, its ranking, the metrics of its best trial, and how its trials ended."""
    _record_ranking(journal, result, time_ms)
    journal.record_progress(result.n_ended, _counts(result) | _metrics_of_best(journal, result), time_ms)
    tied = () if result.ties is None else result.ties.tied
    description = ranking_description(result.record, result.points, result.ranking, result.objective_metrics, tied)
    best = {} if result.best is None else {BEST_TRIAL_TAG: result.best.trial}
    journal.end_sweep(state, description, {**tags, **best}, time_ms)


def _record_ranking(journal: Journal, result: SweepResult, time_ms: int) -> None:
    """Record each rank that has changed, and what earlier versions of this program did not record of a trial."""
    bests, recorded = journal.best_epochs(), _recorded_ranks(journal)
    for rank, trial in enumerate(result.ranking, start=1):
        tags: dict[str, str] = {}
        if trial.trial not in bests:
            record_best_epoch(journal, trial.trial, follow(result.config.objectives, journal.epochs(trial.trial)))
            tags = {EPOCHS_TAG: str(trial.epochs), STOPPED_BY: str(trial.stopped_by)}
        tie = _TIE[None if result.ties is None else result.ties.is_tie(trial.trial)]
        if tags or recorded.get(trial.trial, (None, "")) != (rank, tie):
            tags |= {TIE_TAG: tie} if tie or recorded.get(trial.trial, (None, ""))[1] else {}
            journal.record_rank(trial.trial, rank, tags, time_ms)


def _recorded_ranks(journal: Journal) -> dict[str, tuple[int, str]]:
    """Return the last recorded rank of each point that has one, with the tag of its tie, "" if it has none."""
    entries = journal.entries(EntryKind.RANK)
    return {str(entry.point_id): (entry.body["rank"], entry.body["tags"].get(TIE_TAG, "")) for entry in entries}


def record_best_epoch(journal: Journal, point_id: str, point: FollowedPoint) -> BestEpoch | None:
    """Record the epoch by which a point that has finished is ranked, and return it; None if no epoch counts."""
    best = point.best()
    if best is not None:
        # Later than all its epochs, so that MLflow takes the ranked value of an objective for its last one.
        journal.record_best(point_id, best, point.last_ms + 1)
    return best


def record_importances(journal: Journal, importances: Mapping[str, float], n_ended: int, time_ms: int) -> None:
    """Record how much each setting matters, by its path, as `importance/PATH` of the parent run; nothing if empty."""
    metrics = {IMPORTANCE_PREFIX + path: value for path, value in importances.items()}
    if metrics:
        journal.record_progress(n_ended, metrics, time_ms)


def _metrics_of_best(journal: Journal, result: SweepResult) -> dict[str, float]:
    """Return the metrics of the best trial; NaN for those that only an earlier best trial had: MLflow keeps values."""
    metrics = {} if result.best is None else result.best.metrics
    best = {BEST_PREFIX + name: value for name, value in metrics.items()}
    earlier = (name for name in journal.progress_metrics() if name.startswith(BEST_PREFIX))
    return dict.fromkeys(earlier, math.nan) | best


def _counts(result: SweepResult) -> dict[str, float]:
    """Return how many trials ended in which way; those stopped early are among the finished ones."""
    return {
        "trials/finished": result.count(PointState.FINISHED),
        "trials/stopped_early": sum(STOPPED_EARLY in p.tags for p in result.points if p.state is PointState.FINISHED),
        "trials/failed": result.count(PointState.FAILED),
        "trials/interrupted": result.count(PointState.KILLED),
    }

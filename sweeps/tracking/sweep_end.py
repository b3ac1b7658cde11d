"""How a sweep ended, written to its journal."""

from dataclasses import dataclass

from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.mlflow.detailed_figures import record_detailed_figures
from sweeps.tracking.mlflow.run_metadata import ranking_description
from sweeps.tracking.results import SECONDS, STARTUP_SECONDS, SweepResult


@dataclass(frozen=True)
class SweepEnd:
    """When and how a start of a sweep ended, and how long it took; `startup_seconds` is None where no trial started."""

    state: SweepState
    time_ms: int
    seconds: float
    startup_seconds: float | None = None


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
    metrics = [objective.metric for objective in result.config.objectives]
    description = ranking_description(result.record, result.points, result.ranking, metrics)
    journal.end_sweep(end.state, description, tags, end.time_ms)

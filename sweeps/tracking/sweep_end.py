"""How a sweep ended, written to its journal."""

from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.mlflow.detailed_figures import record_detailed_figures
from sweeps.tracking.mlflow.run_metadata import ranking_description
from sweeps.tracking.results import SECONDS, STARTUP_SECONDS, SweepResult, read_result


def state_of(result: SweepResult, *, interrupted: bool) -> SweepState:
    """How a sweep ended that Tune saw to its end; a Ctrl-C that came when all had ended has interrupted nothing."""
    if interrupted and (result.count(PointState.KILLED) or len(result.points) < result.config.n_trials):
        return SweepState.INTERRUPTED
    return SweepState.FINISHED if result.count(PointState.FINISHED) else SweepState.FAILED


def end_sweep(
    journal: Journal, folder: SweepFolder, state: SweepState, began: float, startup_seconds: float | None, time_ms: int
) -> None:
    """Write down how the sweep ended, with the ranking for those who browse."""
    result = read_result(journal)
    if result.config.figures.detailed == "finalists":
        for trial in result.finalists:
            record_detailed_figures(journal, folder.point(trial.trial), time_ms)
    tags = {SECONDS: f"{time_ms / 1000 - began:.3f}"}
    if startup_seconds is not None:
        tags[STARTUP_SECONDS] = f"{startup_seconds:.3f}"
    metrics = [objective.metric for objective in result.config.objectives]
    description = ranking_description(result.record, result.points, result.ranking, metrics)
    journal.end_sweep(state, description, tags, time_ms)

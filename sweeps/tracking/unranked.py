"""Why a sweep has no ranking: for people who ask for its best trial."""

from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import SweepResult

_ON_LABELS = ("valid/probe_error", "valid/classification_error")


def why_unranked(result: SweepResult) -> str | None:
    """Return why no trial of a sweep is ranked, and what to do; None if one is."""
    if result.ranking:
        return None
    metrics = " and ".join(result.objective_metrics)
    n_finished, n_failed = result.count(PointState.FINISHED), result.count(PointState.FAILED)
    if n_finished:
        return f"no trial has a value of {metrics}: {_why_unmeasured(result, n_finished)}"
    if result.record.state in (SweepState.RUNNING, SweepState.INTERRUPTED):
        return "no trial has finished yet"
    if n_failed:
        first = next(point for point in result.points if point.state is PointState.FAILED)
        return f"no trial finished, {n_failed} failed; trial {first.point_id}: {first.reason}"
    return f"no trial has a value of {metrics}: none trained long enough to be measured"


def _why_unmeasured(result: SweepResult, n_finished: int) -> str:
    """Return what the finished trials measured in place of the objectives."""
    with read_journal(result.folder) as journal:
        finished = [point.point_id for point in result.points if point.state is PointState.FINISHED]
        measured = {name for point_id in finished for _, metrics in journal.history(point_id) for name in metrics}
    trials = f"{n_finished} finished"
    lacking = [metric for metric in result.objective_metrics if metric not in measured]
    if not lacking:
        return f"{trials}, and it was never finite. See `sweeps diagnose {result.sweep}/TRIAL`"
    why = f"{trials}, and none measured {' and '.join(lacking)}"
    if (result.record.dataset or {}).get("n_classes") is None and any(metric in _ON_LABELS for metric in lacking):
        return f"{why}, which needs labels: the data were read without any. Name them in `data`, or rank by valid/mse"
    return f"{why}. Run it again with one of {', '.join(sorted(measured)) or 'the metrics that it can measure'}"

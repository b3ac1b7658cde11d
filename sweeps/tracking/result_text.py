"""A sweep's result as a Python prompt shows it: its state, its best trial, and where to look."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sweeps.models.diagnosis.findings import serious_names
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.short_text import aligned, fitted, number

if TYPE_CHECKING:
    from sweeps.tracking.sweep_result import RankedTrial, SweepResult

_MAX_SETTINGS = 6


def result_text(result: "SweepResult") -> str:
    """Return a sweep's result in at most 15 lines of at most 100 columns."""
    return fitted(_lines(result))


def counts_line(result: "SweepResult") -> str:
    """Return how many trials ended, failed and run, and the seconds of an ended sweep."""
    line = f"{result.n_ended} of {result.config.n_trials} trials ended, {result.count(PointState.FAILED)} failed"
    running = result.count(PointState.RUNNING)
    line += f", {running} running" if running else ""
    line += "" if result.seconds is None else f", {result.seconds:.1f} s"
    return line + ("" if result.ended_by is None else f", ended by {result.ended_by}")


def why_no_best(result: "SweepResult") -> str:
    """Return in one line why no trial is ranked, by what the result holds: the journal is not read."""
    failed = [point for point in result.points if point.state is PointState.FAILED]
    if failed and result.record.state is SweepState.FAILED:
        return f"no trial finished; trial {failed[0].point_id} failed: {failed[0].reason}"
    if result.count(PointState.FINISHED):
        return f"no trial has a value of {' and '.join(result.objective_metrics)}"
    return "no trial has finished yet"


def unfinished_line(result: "SweepResult") -> str | None:
    """Return how many trials an interrupted sweep has left, and what continues them; None if there are none."""
    n_left = result.config.n_trials - result.n_ended
    if result.record.state is not SweepState.INTERRUPTED or n_left <= 0:
        return None
    n_stopped = result.count(PointState.KILLED) + result.count(PointState.RUNNING)
    counts = {"stopped": n_stopped, "not started": n_left - n_stopped}
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count > 0)
    return f"{words}: sweeps.resume(result) continues them"


def leading_line(result: "SweepResult", leader: "RankedTrial") -> str:
    """Return the best running trial and its objectives so far."""
    return f"leading: {_with_values(result, leader)}"


def _with_values(result: "SweepResult", trial: "RankedTrial") -> str:
    names = result.objective_metrics
    values = ", ".join(f"{name} {number(trial.metrics[name])}" for name in names if name in trial.metrics)
    return f"trial {trial.trial}: {values} at epoch {trial.epoch} of {trial.epochs}"


def _lines(result: "SweepResult") -> Iterator[str]:
    yield f"SweepResult {result.sweep} {result.record.state}"
    yield f"  {result.record.name}: {counts_line(result)}"
    if (unfinished := unfinished_line(result)) is not None:
        yield f"  {unfinished}"
    best, leader = result.best, result.leader
    if best is None and leader is None:
        yield f"  {why_no_best(result)}"
    if best is not None:
        yield f"  best {_with_values(result, best)}"
        yield from aligned(best.point, _MAX_SETTINGS, indent="    ")
        if names := serious_names(best.diagnosis or ()):
            yield f"    diagnosis: {', '.join(names)}"
    if leader is not None:
        yield f"  {leading_line(result, leader)}"
    if len(result.objective_metrics) > 1:
        yield f"  {len(result.front)} trials on the Pareto front: .front"
    if result.n_undelivered and result.record.state is not SweepState.RUNNING:
        yield f"  {result.n_undelivered} undelivered records: `sweeps sync {result.sweep}`"
    yield "  .trials() and .history() are data frames; MLflow shows the runs:"
    yield f"  `sweeps ui {result.sweep}`"

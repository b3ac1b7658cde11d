"""What a person sees of several sweeps: on this machine, on a cluster, in MLflow; and of the built-in recipes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import is_unlimited, open_console
from sweeps.cli.display.submission import submission_line
from sweeps.cli.display.trial import number
from sweeps.storage.layout import storage
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.results import SweepResult

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submitted_sweep import SubmittedSweep
    from sweeps.tracking.all_results import UnreadableSweep
    from sweeps.tracking.mlflow.run_lookup import TrackedSweep

# The state of a sweep whose records cannot be read.
_UNREADABLE = "UNREADABLE"


def print_sweeps(
    results: Sequence[SweepResult],
    submitted: "Sequence[SubmittedSweep]" = (),
    tracked: "Sequence[TrackedSweep]" = (),
    unreadable: "Sequence[UnreadableSweep]" = (),
) -> None:
    """Print one line for each sweep, those of this machine first."""
    if results or unreadable:
        console = open_console()
        console.print(_table(results, unreadable, expand=not is_unlimited(console)))
    elif not (submitted or tracked):
        open_console(soft_wrap=True).print(f"no sweeps in {storage() / 'sweeps'} yet: try `sweeps run quickstart`")
    print_elsewhere(submitted, tracked)


def listing_rows(
    results: Sequence[SweepResult],
    submitted: "Sequence[SubmittedSweep]",
    tracked: "Sequence[TrackedSweep]",
    unreadable: "Sequence[UnreadableSweep]" = (),
) -> list[dict[str, Any]]:
    """Return a row with all columns for each sweep."""
    rows = [_row(result) for result in results]
    rows += [{"sweep": sweep.sweep, "where": "here", "state": _UNREADABLE} for sweep in unreadable]
    rows += [
        {"sweep": s.sweep, "where": "cluster", "state": str(s.state), "planned": s.n_trials}
        | {"started": _time(s.started_ms), "owner": s.owner, "log": s.last_line}
        for s in submitted
    ]
    rows += [
        {"sweep": found.sweep, "where": "mlflow", "state": found.state}
        | {"started": _time(found.started_ms), "owner": found.owner}
        for found in tracked
    ]
    return rows


def print_elsewhere(
    submitted: "Sequence[SubmittedSweep]", tracked: "Sequence[TrackedSweep]", *, with_submitter: bool = False
) -> None:
    """Print the state and the newest log line of sweeps on a cluster, and the state of those that MLflow has."""
    console = open_console(highlight=False, markup=False, soft_wrap=True)
    for sweep in submitted:
        jobs = f", {sweep.n_jobs} jobs" if sweep.n_jobs > 1 else ""
        console.print(f"{sweep.sweep} {sweep.state} on the cluster (owner: {sweep.owner}{jobs})")
        if with_submitter and (line := submission_line(sweep.submitted)):
            console.print(f"  {line}")
        if sweep.last_line:
            # MLflow may be ahead of this line: a running job logs now and then.
            console.print(f"  {'when its job ended' if sweep.has_ended else 'newest log line'}: {sweep.last_line}")
    for found in tracked:
        counts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(found.trials.items()))
        console.print(f"{found.sweep} {found.state} in MLflow (owner: {found.owner}){f': {counts}' if counts else ''}")
        if with_submitter and (line := submission_line(found.submitted)):
            console.print(f"  {line}")
        if found.link:
            console.print(f"  {found.link}")


def print_recipes(summaries: Sequence[Mapping[str, str]]) -> None:
    """Print one line for each recipe."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for recipe in summaries:
        table.add_row(Text(recipe["name"], style="bold"), recipe["description"])
    open_console().print(table)


def _row(result: SweepResult) -> dict[str, Any]:
    best, metric = result.best, result.objective_metrics[0]
    return {
        "sweep": result.sweep,
        "where": "here",
        "state": str(result.record.state),
        "ended": result.n_ended,
        "planned": result.config.n_trials,
        "running": result.count(PointState.RUNNING),
        "failed": result.count(PointState.FAILED),
        "best_trial": best and best.trial,
        "metric": metric,
        "value": best and best.metrics.get(metric),
        "best_name": best and best.label,
        "started": _time(result.record.start_ms),
        "seconds": result.seconds,
        "experiment": result.record.experiment,
        "undelivered": result.n_undelivered,
    }


def _time(milliseconds: int | None) -> str | None:
    """A time in UTC, to the second; None if it is not known."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()


def _table(results: Sequence[SweepResult], unreadable: "Sequence[UnreadableSweep]", *, expand: bool) -> Table:
    table = Table(box=None, pad_edge=False, expand=expand)
    table.add_column("sweep", no_wrap=True)
    for heading in ("state", "trials", "failed"):
        table.add_column(heading, no_wrap=True)
    table.add_column("best", no_wrap=True, overflow="ellipsis", ratio=1)
    for result in results:
        best = result.ranking[0] if result.ranking else None
        table.add_row(
            result.sweep,
            str(result.record.state),
            f"{result.n_ended}/{result.config.n_trials}",
            str(result.count(PointState.FAILED)),
            "" if best is None else f"{number(best.metrics.get(result.objective_metrics[0]))} ({best.run_name})",
        )
    for sweep in unreadable:
        table.add_row(Text(sweep.sweep), _UNREADABLE)
    return table

"""What a person sees of several sweeps: on this machine, on a cluster, in MLflow; and of the built-in recipes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.cli.display.trial import number
from sweeps.storage.layout import storage
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.results import SweepResult

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import SubmittedSweep
    from sweeps.tracking.mlflow.run_lookup import TrackedSweep


def print_sweeps(
    results: Sequence[SweepResult],
    submitted: "Sequence[SubmittedSweep]" = (),
    tracked: "Sequence[TrackedSweep]" = (),
) -> None:
    """Print one line for each sweep, those of this machine first."""
    if results:
        Console().print(_table(results))
    elif not (submitted or tracked):
        Console(soft_wrap=True).print(f"no sweeps in {storage() / 'sweeps'} yet: try `sweeps run quickstart`")
    print_elsewhere(submitted, tracked)


def print_elsewhere(submitted: "Sequence[SubmittedSweep]", tracked: "Sequence[TrackedSweep]") -> None:
    """Print the state and the newest log line of sweeps on a cluster, and the state of those that MLflow has."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for sweep in submitted:
        jobs = f", {sweep.n_jobs} jobs" if sweep.n_jobs > 1 else ""
        console.print(f"{sweep.sweep} {sweep.state} on the cluster (owner: {sweep.owner}{jobs})")
        if sweep.last_line:
            # MLflow may be ahead of this line: a running job logs now and then.
            console.print(f"  {'when its job ended' if sweep.has_ended else 'newest log line'}: {sweep.last_line}")
    for found in tracked:
        counts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(found.trials.items()))
        console.print(f"{found.sweep} {found.state} in MLflow (owner: {found.owner}){f': {counts}' if counts else ''}")
        if found.link:
            console.print(f"  {found.link}")


def print_recipes(summaries: Sequence[Mapping[str, str]]) -> None:
    """Print one line for each recipe."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for recipe in summaries:
        table.add_row(Text(recipe["name"], style="bold"), recipe["description"])
    Console().print(table)


def _table(results: Sequence[SweepResult]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
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
    return table

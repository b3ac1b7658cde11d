"""Commands that start, stop and delete sweeps."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sweeps.cli.commands import locate, remote
from sweeps.cli.options import (
    Address,
    Json,
    Log,
    MissingOk,
    Offline,
    Overrides,
    Recipe,
    Sweep,
    SweepId,
    SweepIdOrPrefix,
    library_output_to_stderr,
    log_line,
    print_result,
)
from sweeps.cli.printable import echo

if TYPE_CHECKING:
    from sweeps.storage.layout import SweepFolder
    from sweeps.tracking.progress import Progress
    from sweeps.tracking.results import SweepResult

STARTED = time.time()
STOP_TIMEOUT_SECONDS = 120.0
# As budget.trials, which is not imported here: it takes time.
MAX_TRIALS = 1_000_000


def run(
    recipe: Recipe,
    overrides: Overrides = None,
    offline: Offline = False,
    max_device_hours: Annotated[
        float | None,
        typer.Option(
            "--max-device-hours",
            metavar="HOURS",
            help="End the sweep after this device time (as --set budget.device_hours=HOURS).",
            show_default=False,
        ),
    ] = None,
    sweep_id: SweepId = None,
    log: Log = False,
    as_json: Json = False,
) -> None:
    """Run a sweep on this machine, or on the Ray cluster at RAY_ADDRESS."""
    from sweeps.config import load

    limit = [] if max_device_hours is None else [f"budget.device_hours={max_device_hours!r}"]
    config = load(recipe, [*(overrides or []), *limit])
    from sweeps.launch import run as run_sweep

    with library_output_to_stderr(), progress_display(log) as watch:
        try:
            result = run_sweep(config, offline=offline, sweep_id=sweep_id, watch=watch, started=STARTED)
        except KeyboardInterrupt:
            log_line("interrupted before the first trial: there is nothing to resume")
            raise typer.Exit(130) from None
    _finish(result, log, as_json)


def resume(
    context: typer.Context, sweep: Sweep, address: Address = None, log: Log = False, as_json: Json = False
) -> None:
    """Resume an interrupted sweep; unfinished trials continue from their checkpoints."""
    _resume(context, locate.find_sweep(sweep, address), 0, log, as_json)


def extend(
    context: typer.Context,
    sweep: Sweep,
    trials: Annotated[
        int,
        typer.Option(
            "--trials", metavar="N", min=1, max=MAX_TRIALS, help="Number of trials to add.", show_default=False
        ),
    ],
    address: Address = None,
    log: Log = False,
    as_json: Json = False,
) -> None:
    """Add trials to a sweep; the searcher keeps what it has learned."""
    _resume(context, locate.find_sweep(sweep, address), trials, log, as_json)


def stop(sweep: Sweep, address: Address = None, as_json: Json = False) -> None:
    """Stop a running sweep cleanly, as Ctrl-C does; continue it with `sweeps resume`."""
    from sweeps.cli.display.sweep import print_status
    from sweeps.storage.sweep_lock import stop_owner
    from sweeps.tracking.results import load_result

    folder = locate.find_sweep(sweep, address)
    if isinstance(folder, locate.Elsewhere):
        return remote.stop_there(folder, as_json)
    stop_owner(folder, STOP_TIMEOUT_SECONDS)
    result = load_result(folder)
    return print_result(result.overview(), as_json, lambda: print_status(result))


def delete(
    context: typer.Context,
    sweep: SweepIdOrPrefix,
    runs: Annotated[bool, typer.Option("--runs", help="Also delete its runs in MLflow.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete even if records are undelivered.")] = False,
    missing_ok: MissingOk = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Delete a sweep's folder (journal, checkpoints, arrays, models) and, if it was submitted, its jobs."""
    if missing_ok:
        plain = _delete_if_exists(sweep, runs=runs, force=force)
    else:
        # By its id or a unique prefix: the newest of a name may not be the one to delete.
        folder = locate.find_sweep(sweep, address, newest=False)
        if isinstance(folder, locate.Elsewhere):
            plain = remote.delete_there(context, folder)
        else:
            plain = _delete(folder, runs=runs, force=force)
            remote.forget_jobs(folder.id)
    with_runs = f" and {plain['runs_deleted']} runs in MLflow" if runs else ""
    print_result(plain, as_json, lambda: echo(f"deleted {plain['sweep']}{with_runs}"))


def reproduce(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Recipes of published experiments; by default all."),
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Run nothing; judge the newest finished sweep of each recipe.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Run published experiments, and compare each published number with ours."""
    from sweeps.cli.display.claims import print_claims
    from sweeps.cli.display.live import live_view
    from sweeps.experiments import reproduce as published

    claims = published.select(experiments or [])
    if judge:
        report = published.judge(claims)
    else:
        with library_output_to_stderr(), live_view() as watch:
            report = published.reproduce(claims, offline=offline, watch=watch, log=log_line)
    for failure in report.failures:
        log_line(failure)
    print_result(report.to_dict(), as_json, lambda: print_claims(report.rows, markdown=markdown))
    raise typer.Exit(report.exit_status)


def _delete(folder: "SweepFolder", *, runs: bool, force: bool) -> dict[str, Any]:
    from sweeps.tracking.deletion import delete_sweep

    return {"sweep": folder.id, "runs_deleted": delete_sweep(folder, runs=runs, force=force)}


def _delete_if_exists(sweep_id: str, *, runs: bool, force: bool) -> dict[str, Any]:
    """Delete the sweep with this whole id, if it has a folder."""
    from sweeps.storage.layout import all_folders

    for folder in all_folders():
        if folder.id == sweep_id:
            return _delete(folder, runs=runs, force=force)
    return {"sweep": sweep_id, "runs_deleted": 0}


def _resume(
    context: typer.Context, folder: "SweepFolder | locate.Elsewhere", n_more: int, log: bool, as_json: bool
) -> None:
    if isinstance(folder, locate.Elsewhere):
        remote.resume_there(context, folder, n_more, as_json)
        return
    from sweeps.resumption import resume as resume_sweep

    with library_output_to_stderr(), progress_display(log) as watch:
        result = resume_sweep(folder, n_more=n_more, watch=watch, started=STARTED)
    _finish(result, log, as_json)


def progress_display(log: bool) -> "AbstractContextManager[Callable[[Progress], None]]":
    """Show progress as a table on a terminal, else as lines; more often in the log of a job."""
    from sweeps.cli.display import live, progress_log

    if log:
        return progress_log.log_progress(log_line)
    if sys.stderr.isatty():
        return live.live_view()
    return progress_log.log_progress(log_line, progress_log.SECONDS_BETWEEN_LINES_FOR_READERS)


def _finish(result: "SweepResult", log: bool, as_json: bool) -> NoReturn:
    from sweeps.cli.display import progress_log
    from sweeps.cli.display.sweep import print_summary
    from sweeps.tracking.journal.records import SweepState
    from sweeps.tracking.unranked import why_unranked

    if log:
        log_line(progress_log.last_line(result))
    print_result(result.to_dict(), as_json, lambda: print_summary(result))
    if result.record.state is SweepState.FAILED and (unranked := why_unranked(result)):
        log_line(unranked)
    raise typer.Exit(result.exit_status)

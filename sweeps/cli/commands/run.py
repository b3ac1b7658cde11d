"""Commands that train."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sweeps.cli.commands import locate, submit
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
    only_ours_on_standard_output,
    print_result,
    tell,
)

if TYPE_CHECKING:
    from sweeps.tracking.progress import Progress
    from sweeps.tracking.results import SweepResult

STARTED = time.time()
STOP_PATIENCE_SECONDS = 120.0


def run(
    recipe: Recipe,
    overrides: Overrides = None,
    offline: Offline = False,
    sweep_id: SweepId = None,
    log: Log = False,
    as_json: Json = False,
) -> None:
    """Run a sweep here, on a local Ray or the cluster that RAY_ADDRESS names."""
    from sweeps.config import load

    config = load(recipe, overrides or [])
    from sweeps.launch import run as run_sweep

    with only_ours_on_standard_output(), _watching(log) as watch:
        try:
            result = run_sweep(config, offline=offline, sweep_id=sweep_id, watch=watch, started=STARTED)
        except KeyboardInterrupt:
            tell("interrupted before a trial began: there is nothing to resume")
            raise typer.Exit(130) from None
    _finish(result, log, as_json)


def resume(sweep: Sweep, address: Address = None, log: Log = False, as_json: Json = False) -> None:
    """Go on with a sweep that was stopped, interrupted or lost: finished trials stay, others go on where they were."""
    _continue(sweep, 0, address, log, as_json)


def extend(
    sweep: Sweep,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, help="How many more.", show_default=False)],
    address: Address = None,
    log: Log = False,
    as_json: Json = False,
) -> None:
    """Give a sweep more trials; its searcher knows what the others came to."""
    _continue(sweep, trials, address, log, as_json)


def stop(sweep: Sweep, address: Address = None, as_json: Json = False) -> None:
    """End a running sweep cleanly, as Ctrl-C does; `sweeps resume` goes on with it."""
    from sweeps.cli.display import terminal
    from sweeps.storage.layout import find
    from sweeps.storage.sweep_lock import stop_owner
    from sweeps.tracking.results import load_result

    if client := locate.client_for(sweep, address):
        return submit.stop_there(client, sweep, as_json)
    folder = find(sweep)
    stop_owner(folder, STOP_PATIENCE_SECONDS)
    result = load_result(folder)
    return print_result(result.overview(), as_json, lambda: terminal.status(result))


def delete(
    sweep: Sweep,
    runs: Annotated[bool, typer.Option("--runs", help="Delete its runs in MLflow, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what MLflow has yet to get.")] = False,
    missing_ok: MissingOk = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Remove a sweep's folder: journal, checkpoints, arrays and models; of a submitted one its jobs, too."""
    if client := None if missing_ok else locate.client_for(sweep, address):
        options = [option for option, given in (("--runs", runs), ("--force", force)) if given]
        plain = submit.delete_there(client, sweep, options)
    else:
        plain = _delete_here(sweep, runs=runs, force=force, missing_ok=missing_ok)
        submit.forget_jobs(plain["sweep"])
    with_runs = f", and {plain['runs_deleted']} runs in MLflow" if runs else ""
    told = f"{plain['sweep']} is deleted{with_runs}"
    print_result(plain, as_json, lambda: typer.echo(told))


def reproduce(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Recipes of published experiments; all where none is named."),
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="Run nothing: judge the newest finished sweep of each recipe.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Run published experiments and tell of each claim whether its number is reached."""
    from sweeps.cli.display import claims as claims_display
    from sweeps.cli.display import terminal
    from sweeps.experiments import reproduce as published

    claims = published.select(experiments or [])
    if judge:
        report = published.judge(claims)
    else:
        with only_ours_on_standard_output(), terminal.live() as watch:
            report = published.reproduce(claims, offline=offline, watch=watch, log=tell)
    for failure in report.failures:
        tell(failure)
    print_result(report.to_dict(), as_json, lambda: claims_display.claims(report.rows, markdown=markdown))
    raise typer.Exit(report.exit_status)


def _delete_here(sweep: str, *, runs: bool, force: bool, missing_ok: bool) -> dict[str, Any]:
    """Delete a sweep's folder; with `missing_ok`, `sweep` is its whole id, and no folder has to be there."""
    from sweeps.storage.layout import all_folders, find
    from sweeps.tracking.deletion import delete_sweep

    if missing_ok and sweep not in [folder.id for folder in all_folders()]:
        return {"sweep": sweep, "runs_deleted": 0}
    folder = find(sweep)
    return {"sweep": folder.id, "runs_deleted": delete_sweep(folder, runs=runs, force=force)}


def _continue(sweep: str, n_more: int, address: str | None, log: bool, as_json: bool) -> None:
    from sweeps.storage.layout import find

    if client := locate.client_for(sweep, address):
        submit.continue_there(client, sweep, n_more, as_json)
        return
    folder = find(sweep)
    from sweeps.resumption import resume as resume_sweep

    with only_ours_on_standard_output(), _watching(log) as watch:
        result = resume_sweep(folder, n_more=n_more, watch=watch, started=STARTED)
    _finish(result, log, as_json)


def _watching(log: bool) -> "AbstractContextManager[Callable[[Progress], None]]":
    """What shows how far a sweep is: the lines of a job's log, a table on a terminal, or where there is none lines."""
    from sweeps.cli.display import progress_log, terminal

    if log:
        return progress_log.logged(tell)
    return (
        terminal.live()
        if sys.stderr.isatty()
        else progress_log.logged(tell, progress_log.SECONDS_BETWEEN_LINES_FOR_READERS)
    )


def _finish(result: "SweepResult", log: bool, as_json: bool) -> NoReturn:
    from sweeps.cli.display import progress_log, terminal

    if log:
        tell(progress_log.outcome(result))
    print_result(result.to_dict(), as_json, lambda: terminal.summary(result))
    raise typer.Exit(result.exit_status)

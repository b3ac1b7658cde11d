"""Commands that train."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.commands.terminal import (
    Json,
    Offline,
    Overrides,
    Recipe,
    Sweep,
    only_ours_on_standard_output,
    print_result,
    tell,
)

if TYPE_CHECKING:
    from sweeps.folder import SweepFolder

STARTED = time.time()
STOP_PATIENCE_SECONDS = 120.0


def run(recipe: Recipe, overrides: Overrides = None, offline: Offline = False, as_json: Json = False) -> None:
    """Run a sweep here, on a local Ray or the cluster that RAY_ADDRESS names."""
    from sweeps import display
    from sweeps.config import load

    config = load(recipe, overrides or [])
    from sweeps.launch import run as run_sweep

    with only_ours_on_standard_output(), display.live() as watch:
        result = run_sweep(config, offline=offline, watch=watch, started=STARTED)
    print_result(result.to_dict(), as_json, lambda: display.summary(result))
    raise typer.Exit(result.exit_status)


def resume(sweep: Sweep, as_json: Json = False) -> None:
    """Go on with a sweep that was stopped, interrupted or lost: finished trials stay, others go on where they were."""
    from sweeps.folder import find

    _continue(find(sweep), 0, as_json)


def extend(
    sweep: Sweep,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, help="How many more.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Give a sweep more trials; its searcher knows what the others came to."""
    from sweeps.folder import find

    _continue(find(sweep), trials, as_json)


def stop(sweep: Sweep, as_json: Json = False) -> None:
    """End a running sweep cleanly, as Ctrl-C does; `sweeps resume` goes on with it."""
    from sweeps import display
    from sweeps.folder import find
    from sweeps.holding import stop as stop_holder
    from sweeps.results import load_result

    folder = find(sweep)
    stop_holder(folder, STOP_PATIENCE_SECONDS)
    result = load_result(folder)
    print_result(result.overview(), as_json, lambda: display.status(result))


def delete(
    sweep: Sweep,
    runs: Annotated[bool, typer.Option("--runs", help="Delete its runs in MLflow, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what MLflow has yet to get.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a sweep's folder: journal, checkpoints, arrays and models."""
    from sweeps.deletion import delete as delete_folder
    from sweeps.folder import find

    folder = find(sweep)
    n_runs = delete_folder(folder, runs=runs, force=force)
    told = f"{folder.id} is deleted{f', and {n_runs} runs in MLflow' if runs else ''}"
    print_result({"sweep": folder.id, "runs_deleted": n_runs}, as_json, lambda: typer.echo(told))


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
    from sweeps import display
    from sweeps.experiments import reproduce as published

    claims = published.select(experiments or [])
    if judge:
        report = published.judge(claims)
    else:
        with only_ours_on_standard_output(), display.live() as watch:
            report = published.reproduce(claims, offline=offline, watch=watch, tell=tell)
    for failure in report.failures:
        tell(failure)
    print_result(report.to_dict(), as_json, lambda: display.claims(report.rows, markdown=markdown))
    raise typer.Exit(report.exit_status)


def _continue(folder: "SweepFolder", n_more: int, as_json: bool) -> None:
    from sweeps import display
    from sweeps.continuation import resume as resume_sweep

    with only_ours_on_standard_output(), display.live() as watch:
        result = resume_sweep(folder, n_more=n_more, watch=watch, started=STARTED)
    print_result(result.to_dict(), as_json, lambda: display.summary(result))
    raise typer.Exit(result.exit_status)

"""Commands that train."""

import time
from typing import Annotated

import typer

from sweeps.commands.terminal import Json, Offline, Overrides, Recipe, only_ours_on_standard_output, print_result, tell

STARTED = time.time()


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

"""Commands that show sweeps and their trials."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.commands import locate, remote
from sweeps.cli.options import (
    Address,
    Csv,
    Form,
    Json,
    Markdown,
    Run,
    Sweep,
    Trial,
    Wide,
    log_line,
    print_result,
    print_table,
)

if TYPE_CHECKING:
    from sweeps.storage.layout import SweepFolder

# Trials that `best` shows.
DEFAULT_TOP = 10
MAX_TRIALS = 1_000_000


def list_sweeps(address: Address = None, as_csv: Csv = False, wide: Wide = False, as_json: Json = False) -> None:
    """List the sweeps under SWEEPS_HOME, on the cluster and on the MLflow server, newest first."""
    from dataclasses import asdict

    from sweeps.cli.display.listing import listing_rows, print_sweeps
    from sweeps.tracking.all_results import load_all

    results, unreadable = load_all()
    issues = [str(sweep) for sweep in unreadable]
    submitted, tracked, unreachable = locate.list_elsewhere(address)
    issues += unreachable
    known = (
        {result.sweep for result in results}
        | {sweep.sweep for sweep in unreadable}
        | {sweep.sweep for sweep in submitted}
    )
    tracked = [sweep for sweep in tracked if sweep.sweep not in known]
    plain: dict[str, Any] = {"sweeps": [result.overview() for result in results], "errors": issues}
    plain |= {"unreadable": [asdict(sweep) for sweep in unreadable]}
    plain |= {"submitted": [s.to_dict() for s in submitted], "tracked": [s.to_dict() for s in tracked]}
    print_table(
        lambda: plain,
        lambda: listing_rows(results, submitted, tracked, unreadable),
        lambda: print_sweeps(results, submitted, tracked, unreadable),
        Form(as_json, as_csv, wide=wide),
    )
    for issue in issues:
        log_line(issue)


def status(
    sweep: Sweep,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Follow the sweep until it ends; Ctrl-C ends the watch, and the sweep keeps running."
        ),
    ] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show a sweep's progress and undelivered records."""
    from sweeps.cli.display.sweep import print_status
    from sweeps.errors import InputError
    from sweeps.tracking.results import load_result

    if watch and as_json:
        raise InputError("--json and --watch must not be given together: choose one")
    folder = locate.find_sweep(sweep, address)
    if watch:
        _watch(folder)
    if isinstance(folder, locate.Elsewhere):
        if not watch:
            locate.print_status_elsewhere(folder, as_json)
        return
    result = load_result(folder)
    print_result(result.overview(), as_json, lambda: print_status(result))


def _watch(sweep: "SweepFolder | locate.Elsewhere") -> None:
    """Follow a sweep until it ends; Ctrl-C exits with status 0, because the sweep is not affected."""
    try:
        if isinstance(sweep, locate.Elsewhere):
            locate.watch_elsewhere(sweep)
        else:
            from sweeps.cli.display.watching import watch_sweep

            watch_sweep(sweep)
    except KeyboardInterrupt:
        log_line("the watch has ended; the sweep is not affected")
        raise typer.Exit(0) from None


def best(
    context: typer.Context,
    sweep: Sweep,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            max=MAX_TRIALS,
            help="Number of trials; by default 10, with --csv all.",
            show_default=False,
        ),
    ] = None,
    address: Address = None,
    as_csv: Csv = False,
    as_markdown: Markdown = False,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Rank a sweep's trials; with several objectives, show the Pareto front first."""
    from sweeps.cli.display.ranking_rows import ranking_rows
    from sweeps.cli.display.sweep import print_ranking
    from sweeps.tracking.results import load_result
    from sweeps.tracking.unranked import why_unranked

    folder = locate.find_sweep(sweep, address)
    if isinstance(folder, locate.Elsewhere):
        remote.run_there(context, folder)
    result = load_result(folder)
    shown = top or DEFAULT_TOP
    unranked = why_unranked(result)
    print_table(
        lambda: result.to_dict(top=shown) | ({} if unranked is None else {"unranked": unranked}),
        lambda: ranking_rows(result, top if as_csv else shown),
        lambda: print_ranking(result, shown),
        Form(as_json, as_csv, as_markdown, wide),
    )


def diagnose(
    context: typer.Context, run: Run, trial: Trial = None, address: Address = None, as_json: Json = False
) -> None:
    """Diagnose why a trial did not learn: findings, the numbers behind each, and what to change."""
    from sweeps.cli.display.trial import print_diagnosis
    from sweeps.tracking.trial_lookup import load_trial

    named = locate.find_run(run, address)
    if isinstance(named, locate.Elsewhere):
        remote.run_there(context, named)
    found = load_trial(named, trial)
    print_result(found.to_dict(), as_json, lambda: print_diagnosis(found))


def evaluate(
    context: typer.Context, run: Run, trial: Trial = None, address: Address = None, as_json: Json = False
) -> None:
    """Evaluate a trial's best checkpoint on the test split."""
    named = locate.find_run(run, address)
    if isinstance(named, locate.Elsewhere):
        remote.run_there(context, named)
    from sweeps.cli.display.trial import print_evaluation
    from sweeps.evaluation import evaluate as evaluate_trial
    from sweeps.tracking.trial_lookup import find_trial

    result, point = find_trial(named, trial)
    evaluation = evaluate_trial(result, point.point_id)
    print_result(evaluation.to_dict(), as_json, lambda: print_evaluation(evaluation, result))

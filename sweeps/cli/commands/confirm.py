"""The command that trains the leaders of a sweep again on new seeds."""

from typing import Annotated

import typer

from sweeps.cli.commands import locate
from sweeps.cli.commands.run import MAX_TRIALS, STARTED, progress_display
from sweeps.cli.options import Json, Offline, Sweep, library_output_to_stderr, log_line, print_result
from sweeps.errors import InputError

DEFAULT_TOP, DEFAULT_SEEDS = 3, 5


def confirm(
    sweep: Sweep,
    top: Annotated[
        int,
        typer.Option("--top", metavar="K", min=1, max=MAX_TRIALS, help="How many of the best trials to train again."),
    ] = DEFAULT_TOP,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=3, max=MAX_TRIALS, help="On how many new seeds, each of them.")
    ] = DEFAULT_SEEDS,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Train the best trials of a sweep again on new seeds, and rank them by the mean."""
    from sweeps.analysis.confirmation import confirmation_sweep
    from sweeps.analysis.seeds import in_words, rank_by_mean
    from sweeps.cli.display.seeds import print_confirmation
    from sweeps.tracking.results import load_result

    folder = locate.find_sweep(sweep, None)
    if isinstance(folder, locate.Elsewhere):
        raise InputError(
            f"{sweep} must have its folder on this machine to be confirmed, and has none: run `sweeps confirm` where "
            "SWEEPS_HOME has the sweep; with RAY_ADDRESS it trains on a cluster"
        )
    confirmed = load_result(folder)
    config = confirmation_sweep(confirmed, top, seeds)
    from sweeps.launch import run

    log_line(f"{confirmed.sweep}: {config.n_trials // seeds} points on {seeds} seeds, {config.n_trials} trials")
    with library_output_to_stderr(), progress_display(log=False) as watch:
        result = run(config, offline=offline, watch=watch, started=STARTED)
    ranked = rank_by_mean(result)
    plain = result.overview() | {
        "confirms": confirmed.sweep,
        "verdict": in_words(ranked),
        "means": [mean.to_dict() for mean in ranked],
    }
    print_result(plain, as_json, lambda: print_confirmation(result, ranked, confirmed))
    raise typer.Exit(result.exit_status)

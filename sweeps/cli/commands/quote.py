"""The command that says what a sweep will take, before it is run."""

from sweeps.cli.commands.run import STARTED
from sweeps.cli.options import Json, Overrides, Recipe, library_output_to_stderr, log_line, print_result


def quote(recipe: Recipe, overrides: Overrides = None, as_json: Json = False) -> None:
    """Train a few steps of a sweep, and predict its time, device hours, memory, disk and cost; run nothing else."""
    from sweeps.config import load

    config = load(recipe, overrides or [])
    from sweeps.cli.display import progress_log
    from sweeps.cli.display.quote import print_quote
    from sweeps.quote.quote import quote as make_quote

    watch_log = progress_log.log_progress(log_line, progress_log.SECONDS_BETWEEN_LINES_FOR_READERS)
    with library_output_to_stderr(), watch_log as watch:
        found = make_quote(config, watch=watch, started=STARTED)
    print_result(found.to_dict(), as_json, lambda: print_quote(found))

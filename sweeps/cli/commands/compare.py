"""The command that shows sweeps side by side."""

from typing import Annotated

import typer

from sweeps.cli import completion
from sweeps.cli.options import Json, log_newest, print_result

_FEWEST = 2


def compare(
    sweeps: Annotated[
        list[str],
        typer.Argument(
            metavar="SWEEP SWEEP...",
            help="Two or more sweeps of this machine, each by its id, a unique prefix, its name or latest.",
            show_default=False,
            autocompletion=completion.sweeps,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Compare sweeps with the first: the settings that differ, the objective's distributions, and a verdict."""
    from sweeps.analysis.comparison import compare as compare_results
    from sweeps.cli.display.comparison import print_comparison
    from sweeps.errors import InputError
    from sweeps.storage.layout import find
    from sweeps.tracking.results import load_result

    folders = [find(sweep) for sweep in sweeps]
    if len({folder.id for folder in folders}) < max(_FEWEST, len(sweeps)):
        raise InputError(f"sweeps compare needs two or more different sweeps, not {' '.join(sweeps)}")
    for sweep, folder in zip(sweeps, folders, strict=True):
        log_newest(sweep, folder.id)
    comparison = compare_results([load_result(folder) for folder in folders])
    print_result(comparison.to_dict(), as_json, lambda: print_comparison(comparison))

"""The command that writes the report of a sweep."""

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.commands import locate
from sweeps.cli.options import Json, Sweep, print_result
from sweeps.cli.printable import echo


def report(
    sweep: Sweep,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write; by default SWEEP.html in this folder.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a sweep, ended or running, as one HTML file.

    It shows what won, which settings mattered, how they relate, the filters, what went wrong and the cost. It opens
    from disk and requests nothing from anywhere. MLflow has it as the artifact `report.html` of the sweep's own run.
    """
    from sweeps.analysis.report.source import read_source
    from sweeps.analysis.report.write import write_page
    from sweeps.errors import InputError

    folder = locate.find_sweep(sweep, None)
    if isinstance(folder, locate.Elsewhere):
        raise folder.unknown or InputError(f"no sweep {sweep!r} on this machine")
    target = output or Path(f"{folder.id}.html")
    source = read_source(folder)
    try:
        write_page(source, target)
    except OSError as error:
        raise InputError(
            f"--output must be a file that can be written, and {target} cannot: {error.strerror}"
        ) from None
    plain = {"sweep": folder.id, "file": str(target), "bytes": target.stat().st_size}
    print_result(plain, as_json, lambda: echo(str(target)))

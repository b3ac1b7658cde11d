"""What all commands share: their arguments, and how they print."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

Sweep = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep's id, or the beginning of it.", show_default=False)
]
Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE|FILE", help="A recipe that ships (see `sweeps recipes`) or a sweep file.", show_default=False
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="SWEEP/TRIAL, a sweep, or the id of an MLflow run.", show_default=False)
]
Trial = Annotated[
    str | None, typer.Option("--trial", help="A trial of the sweep; by default the best.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a setting, e.g. budget.trials=4; may be repeated."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Start though MLflow does not answer; deliver later with `sweeps sync`.")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="The API server of a Ray cluster, http://HOST:8265; by default that of RAY_API_SERVER_ADDRESS.",
        show_default=False,
    ),
]
# Given by the supervisor of a submitted sweep.
SweepId = Annotated[str | None, typer.Option("--id", hidden=True)]
Log = Annotated[bool, typer.Option("--log", hidden=True)]
# Given where a submitted sweep is deleted.
MissingOk = Annotated[bool, typer.Option("--missing-ok", hidden=True)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]


@contextmanager
def only_ours_on_standard_output() -> Iterator[None]:
    """Send what libraries and their processes print to standard error: Ray tells of lost workers on standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def print_result(plain: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    """Print a result as one JSON object, or as `show` shows it to a person."""
    if as_json:
        typer.echo(json.dumps(plain))
    else:
        show()


def tell(line: str) -> None:
    """Say a line beside the result."""
    typer.echo(f"sweeps: {line}", err=True)


def fail(issues: Sequence[str], status: int) -> NoReturn:
    """Tell what is wrong, a line a issue, and exit."""
    for issue in issues:
        tell(issue)
    if "--json" in sys.argv:
        typer.echo(json.dumps({"errors": list(issues)}))
    sys.exit(status)

"""Options and arguments that commands share, and how commands print."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer

from sweeps.cli import completion
from sweeps.cli.printable import echo

Sweep = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="A sweep: its id, a unique prefix of it, its name (the newest of that name), or latest.",
        show_default=False,
        autocompletion=completion.sweeps,
    ),
]
# By its id alone, where the newest sweep of a name may not be the one that is meant.
SweepIdOrPrefix = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="A sweep: its id, or a unique prefix of it.",
        show_default=False,
        autocompletion=completion.sweep_ids,
    ),
]
Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE|FILE",
        help="A built-in recipe (see `sweeps recipes`) or a sweep file.",
        show_default=False,
        autocompletion=completion.sweep_files,
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="SWEEP/TRIAL such as latest/0007, SWEEP, or the id of an MLflow run.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]
Trial = Annotated[
    str | None, typer.Option("--trial", help="A trial of the sweep; by default the best.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a setting, e.g. budget.trials=4; repeatable. A mapping replaces the whole section.",
        autocompletion=completion.assignments,
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Start even if MLflow is unreachable; deliver later with `sweeps sync`."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="API server of the Ray cluster, http://HOST:8265; by default RAY_API_SERVER_ADDRESS.",
        show_default=False,
    ),
]
# Hidden: set by the job of a submitted sweep.
SweepId = Annotated[str | None, typer.Option("--id", hidden=True)]
Log = Annotated[bool, typer.Option("--log", hidden=True)]
# Hidden: set where a submitted sweep is deleted.
MissingOk = Annotated[bool, typer.Option("--missing-ok", hidden=True)]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with all columns.")]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Print a Markdown table with all columns, for an issue or a wiki.")
]
Wide = Annotated[bool, typer.Option("--wide", help="Print a table with all columns, without wrapping.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")]


@contextmanager
def library_output_to_stderr() -> Iterator[None]:
    """Send what libraries and their processes print to standard error: Ray reports failures on standard output."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def print_result(plain: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    """Print a result as one JSON object, or call `show`, which prints it for a person."""
    if as_json:
        typer.echo(json.dumps(plain))
    else:
        show()


@dataclass(frozen=True)
class Form:
    """The form in which a table is printed, one at most; by default for a person."""

    as_json: bool = False
    as_csv: bool = False
    as_markdown: bool = False
    wide: bool = False


def print_table(
    plain: Callable[[], dict[str, Any]],
    rows: Callable[[], list[dict[str, Any]]],
    show: Callable[[], None],
    form: Form,
) -> None:
    """Print rows as one JSON object, as CSV, as Markdown, as a wide table, or as `show` does for a person.

    Raises InputError if several forms were asked for.
    """
    from sweeps.errors import InputError

    chosen = {"--json": form.as_json, "--csv": form.as_csv, "--markdown": form.as_markdown, "--wide": form.wide}
    forms = [name for name, is_chosen in chosen.items() if is_chosen]
    if len(forms) > 1:
        raise InputError(f"{' and '.join(forms)} must not be given together: choose one")
    if not forms or form.as_json:
        print_result(plain() if form.as_json else {}, form.as_json, show)
        return
    from sweeps.cli.display.rows import print_csv, print_markdown, print_wide

    {"--csv": print_csv, "--markdown": print_markdown, "--wide": print_wide}[forms[0]](rows())


def log_line(line: str) -> None:
    """Print a line to standard error, apart from the result."""
    echo(f"sweeps: {line}", to_stderr=True)


def log_newest(typed: str, sweep_id: str) -> None:
    """Print which sweep was meant if `typed` is its name, or `latest`."""
    from sweeps.storage.sweep_ids import is_newest

    if is_newest(typed, sweep_id):
        log_line(f"{typed} is {sweep_id}")


def fail(issues: Sequence[str], status: int) -> NoReturn:
    """Print one line for each issue, and exit with this status."""
    for issue in issues:
        log_line(issue)
    if "--json" in sys.argv:
        typer.echo(json.dumps({"errors": list(issues)}))
    sys.exit(status)

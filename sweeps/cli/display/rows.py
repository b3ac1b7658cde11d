"""Rows with all columns: as CSV for other programs, as Markdown, or as a table that is as wide as it has to be."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.cli.display.trial import number
from sweeps.cli.printable import printable

Row = Mapping[str, Any]


def print_csv(rows: Sequence[Row]) -> None:
    """Print one line of CSV for each row, after a line with the names of the columns."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value, repr) for name, value in row.items()} for row in rows)
    text = file.getvalue()  # exact for a program, harmless for a terminal
    typer.echo(printable(text) if sys.stdout.isatty() else text, nl=False)


def print_markdown(rows: Sequence[Row]) -> None:
    """Print a Markdown table with every column that has a value; text from outside stays text."""
    names = _filled(rows)
    lines = [[_escaped(name) for name in names], ["---:" if _is_numeric(rows, name) else "---" for name in names]]
    lines += [[_escaped(_cell(row.get(name), number)) for name in names] for row in rows]
    for line in lines if names else ():
        typer.echo(f"| {' | '.join(line)} |")


def print_wide(rows: Sequence[Row]) -> None:
    """Print a table with every column that has a value, without wrapping."""
    names = _filled(rows)
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True, justify="right" if _is_numeric(rows, name) else "left")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name), number)) for name in names))
    open_console(wide=True, highlight=False).print(table)


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the names of all columns; one that only later rows have follows the column before it."""
    names: list[str] = []
    for row in rows:
        place = 0
        for name in row:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names


def _filled(rows: Sequence[Row]) -> list[str]:
    return [name for name in columns(rows) if any(row.get(name) not in (None, "") for row in rows)]


def _is_numeric(rows: Sequence[Row], name: str) -> bool:
    return all(isinstance(row.get(name), int | float | None) for row in rows)


def _escaped(text: str) -> str:
    """Return text in one line that Markdown shows as it is: no cell ends early, nothing is a tag, link or emphasis."""
    return re.sub(r"([\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(printable(text).split()))


def _cell(value: Any, write_number: Callable[[float], str]) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return write_number(value)
    return json.dumps(value) if isinstance(value, bool | list | tuple | dict) else str(value)

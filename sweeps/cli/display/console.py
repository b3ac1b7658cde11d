"""The console of results: tables fit a terminal, and keep their whole lines in a file or a pipe."""

import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from sweeps.cli.printable import printable

# Wider than any line of a table.
_UNLIMITED = 100_000


class _WithoutPadding:
    """Standard output without the spaces that fill up the lines of a table: they can be thousands."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(re.sub(r" +(?=\n)", "", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class SafeConsole(Console):
    """A console that prints text from outside as `printable` returns it; its own styles and cursor moves stay.

    A name such as `module:Star:` stays as it is, too: nothing becomes an emoji.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"emoji": False} | options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed, without control characters in their text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def is_unlimited(console: Console) -> bool:
    """Return whether nothing wraps on a console; a table must not be expanded to its width."""
    return console.width == _UNLIMITED


def open_console(*, wide: bool = False, **options: Any) -> Console:
    """Return a console on standard output that wraps at the width of the terminal; never with `wide`.

    Without a terminal nothing wraps, unless COLUMNS gives a width: a command that runs on a cluster gets its user's.
    """
    is_file = not sys.stdout.isatty() and not os.environ.get("COLUMNS")
    if is_file:
        options["file"] = _WithoutPadding(sys.stdout)
    options.setdefault("markup", False)  # text from outside may have brackets
    return SafeConsole(width=_UNLIMITED if wide or is_file else None, **options)


def fits(console: Console, table: Table) -> bool:
    """Return whether no cell of a table has to be wrapped on a console."""
    needed = Measurement.get(console, console.options.update(max_width=_UNLIMITED), table).maximum
    return needed <= console.width

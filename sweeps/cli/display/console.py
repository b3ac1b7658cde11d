"""The console of results: tables fit a terminal, and keep their whole lines in a file or a pipe."""

import os
import sys
from typing import Any

from rich.console import Console

# Wider than any line of a table.
_UNLIMITED = 100_000


def open_console(*, wide: bool = False, **options: Any) -> Console:
    """Return a console on standard output that wraps at the width of the terminal; never with `wide`.

    Without a terminal nothing wraps, unless COLUMNS gives a width: a command that runs on a cluster gets its user's.
    """
    is_file = not sys.stdout.isatty() and not os.environ.get("COLUMNS")
    return Console(width=_UNLIMITED if wide or is_file else None, **options)

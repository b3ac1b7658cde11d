"""What a person sees of an alias: the versions that have held it, and a rollback."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import fits, open_console
from sweeps.registry.alias_history import Move


def print_history(name: str, alias: str, moves: Sequence[Move], holder: str | None) -> None:
    """Print the versions that have held an alias, newest first; without a `holder`, that none holds it now."""
    console = open_console(highlight=False, markup=False)
    table = _history_table(alias, moves, holder)
    if not moves:
        console.print(f"{name}: no version has held {alias}")
    elif fits(console, table):
        console.print(table)
    else:
        _print_moves(console, alias, moves, holder)
    if moves and holder is None:
        console.print(Text(f"\nno version is {alias} now: the alias, or its version, was deleted in MLflow"))


def print_rollback(name: str, alias: str, move: Move) -> None:
    """Print which version an alias points at again."""
    open_console().print(Text(f"{alias} of {name} is version {move.version} again; it was version {move.replaced}"))


def _history_table(alias: str, moves: Sequence[Move], holder: str | None) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("version", "when", "who", "what", "trial", "why"):
        table.add_column(heading)
    for place, move in enumerate(reversed(moves)):
        mark = f"{move.version} <- {alias}" if place == 0 and move.version == holder else move.version
        table.add_row(*map(Text, (mark, _local_time(move.when), move.who, str(move.kind), _origin(move), move.reason)))
    return table


def _print_moves(console: Console, alias: str, moves: Sequence[Move], holder: str | None) -> None:
    """Print each move as a few lines, for a terminal that is too narrow for a table."""
    for place, move in enumerate(reversed(moves)):
        mark = f" <- {alias}" if place == 0 and move.version == holder else ""
        console.print(Text(f"version {move.version}{mark}", style="bold"))
        by = f"by {move.who}" if move.who else ""
        console.print(Text("  " + " ".join(filter(None, (str(move.kind), _local_time(move.when), by)))))
        for line in (_origin(move), move.reason):
            if line:
                console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2)))


def _origin(move: Move) -> str:
    return "" if move.sweep is None else f"{move.sweep}/{move.trial}"


def _local_time(when: str) -> str:
    return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M") if when else ""

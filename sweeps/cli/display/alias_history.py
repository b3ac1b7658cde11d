"""What a person sees of an alias: the versions that have held it, and a rollback."""

from datetime import datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import fits, open_console
from sweeps.registry.alias_history import Move
from sweeps.registry.audited_history import AuditedHistory
from sweeps.registry.logged_moves import LoggedMove


def print_history(name: str, alias: str, history: AuditedHistory) -> None:
    """Print the versions that have held an alias, newest first; without a holder, that none holds it now."""
    console = open_console(highlight=False, markup=False)
    table = _history_table(alias, history)
    if not history.moves:
        console.print(f"{name}: no version has held {alias}")
    elif fits(console, table):
        console.print(table)
    else:
        _print_moves(console, alias, history)
    if history.moves and history.holder is None:
        console.print(Text(f"\nno version is {alias} now: the alias, or its version, was deleted in MLflow"))
    if history.moves:
        console.print(Text(f"\n{_log_line(history)}"), soft_wrap=True)


def _log_line(history: AuditedHistory) -> str:
    """Return which log was read, and what it lacks."""
    line = f"log of promotions: {history.location}, {history.n_entries} entries; check it with --verify"
    n_missing = sum(logged is None for _, logged in history.moves)
    missing = f"{n_missing} move{'' if n_missing == 1 else 's'}"
    if history.other_logs:
        return f"{line}. Not in this log: {missing}; versions name {', '.join(history.other_logs)}"
    return f"{line}. Not in the log: {missing}" if n_missing else line


def print_rollback(name: str, alias: str, move: Move) -> None:
    """Print which version an alias points at again."""
    open_console().print(Text(f"{alias} of {name} is version {move.version} again; it was version {move.replaced}"))


def _history_table(alias: str, history: AuditedHistory) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("version", "when", "who", "what", "log", "trial", "why"):
        table.add_column(heading)
    for place, (move, logged) in enumerate(reversed(history.moves)):
        mark = f"{move.version} <- {alias}" if place == 0 and move.version == history.holder else move.version
        cells = (mark, _local_time(move.when), move.who, str(move.kind), _entry(logged), _origin(move), move.reason)
        table.add_row(*map(Text, cells))
    return table


def _entry(logged: LoggedMove | None) -> str:
    return "not in the log" if logged is None else f"entry {logged.entry.number}"


def _print_moves(console: Console, alias: str, history: AuditedHistory) -> None:
    """Print each move as a few lines, for a terminal that is too narrow for a table."""
    for place, (move, logged) in enumerate(reversed(history.moves)):
        mark = f" <- {alias}" if place == 0 and move.version == history.holder else ""
        console.print(Text(f"version {move.version}{mark}", style="bold"))
        by = f"by {move.who}" if move.who else ""
        console.print(Text("  " + " ".join(filter(None, (str(move.kind), _local_time(move.when), by)))))
        for line in (_origin(move), _entry(logged), move.reason):
            if line:
                console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2)))


def _origin(move: Move) -> str:
    return "" if move.sweep is None else f"{move.sweep}/{move.trial}"


def _local_time(when: str) -> str:
    """Return a time of the tag of a move; as it stands there if it was edited so that it is none."""
    try:
        return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return when

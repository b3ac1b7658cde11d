"""The checks of a plug-in, a line each."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.plugin_checks import Check

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def print_checks(name: str, checks: Sequence[Check]) -> None:
    """Print each check with its outcome, and a summary."""
    console = open_console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(Text(check.status, style=_STYLES[check.status]), check.name, check.detail)
    console.print(table)
    counts = {status: sum(check.status == status for check in checks) for status in _STYLES}
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    console.print(f"{name}: {summary}")

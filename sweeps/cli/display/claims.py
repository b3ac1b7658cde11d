"""What a person sees of published experiments: each claim with its verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import SafeConsole, is_unlimited, open_console

if TYPE_CHECKING:
    from sweeps.experiments.claims import ClaimRow


def print_claims(rows: Sequence["ClaimRow"], *, markdown: bool) -> None:
    """Print published claims with their verdicts, as a table for the terminal or as Markdown."""
    headings = ("experiment", "what", "published", "ours", "seeds", "tolerance", "verdict")
    lines = [
        (row.experiment, row.what, row.published, row.ours, _seeds(row), row.tolerance, str(row.verdict))
        for row in rows
    ]
    if markdown:
        rule = ("---",) * len(headings)
        text = "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines))
        SafeConsole(soft_wrap=True).print(text, highlight=False, markup=False)
        return
    _print_by_experiment(open_console(highlight=False), rows)


def _print_by_experiment(console: Console, rows: "Sequence[ClaimRow]") -> None:
    table = Table(box=None, pad_edge=False, expand=not is_unlimited(console))
    for heading, ratio in (("claim", 5), ("published", 3), ("ours", 4), ("tolerance", 3)):
        table.add_column(heading, overflow="fold", ratio=ratio)
    table.add_column("seeds", no_wrap=True, justify="right")
    table.add_column("verdict", no_wrap=True)
    for before, row in zip((None, *rows), rows, strict=False):
        if before is None or before.experiment != row.experiment:
            table.add_row(Text(row.experiment, style="bold"))
        verdict = Text(str(row.verdict), style="red" if row.verdict == "missed" else "")
        table.add_row(row.what, row.published, row.ours, row.tolerance, _seeds(row), verdict)
    console.print(table)


def _seeds(row: "ClaimRow") -> str:
    return str(row.n_seeds or "")

"""What a person sees of sweeps side by side."""

import math
from collections.abc import Iterator

from rich.table import Table

from sweeps.analysis.comparison import Comparison, Distribution
from sweeps.cli.display.console import open_console
from sweeps.cli.display.trial import number

_BOX_WIDTH = 32
# Of a setting; a list of points is longer than a person reads.
_LONGEST = 60


def print_comparison(comparison: Comparison) -> None:
    """Print what differs between sweeps, their distributions on one scale, and the verdicts."""
    console = open_console()
    if comparison.differing:
        console.print(_settings_table(comparison))
    else:
        console.print("All settings are the same.", highlight=False)
    console.print(_distributions_table(comparison))
    for line in _lines(comparison):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _settings_table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", *comparison.sweeps):
        table.add_column(heading, overflow="fold")
    for path, values in comparison.differing.items():
        table.add_row(path, *("default" if value is None else _shortened(value) for value in values))
    return table


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def _distributions_table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("sweep", overflow="fold")
    for heading in ("trials", f"best {comparison.metric}", "median"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("best trial", no_wrap=True)
    table.add_column("best, quartiles and worst", no_wrap=True)
    ends = [value for shown in comparison.distributions for value in (shown.best, shown.worst) if math.isfinite(value)]
    for shown in comparison.distributions:
        box = _box(shown, min(ends), max(ends)) if shown.n_ranked else ""
        values = (str(shown.n_ranked), number(shown.best), number(shown.median), shown.best_trial or "")
        table.add_row(shown.sweep, *(values if shown.n_ranked else ("0", "", "", "")), box)
    return table


def _box(shown: Distribution, low: float, high: float) -> str:
    """Return a box plot of one line on the scale that all sweeps share: `|--[=M==]----|`."""

    def place(value: float) -> int:
        return round((_BOX_WIDTH - 1) * (value - low) / (high - low)) if high > low else 0

    left, right = sorted((place(shown.best), place(shown.worst)))
    first, last = sorted((place(shown.lower_quartile), place(shown.upper_quartile)))
    cells = [" "] * _BOX_WIDTH
    cells[left : right + 1] = ["-"] * (right + 1 - left)
    cells[left], cells[right] = "|", "|"
    cells[first : last + 1] = ["="] * (last + 1 - first)
    cells[place(shown.median)] = "M"
    return "".join(cells)


def _lines(comparison: Comparison) -> Iterator[str]:
    if comparison.incomparable is not None:
        yield comparison.incomparable
    for verdict in comparison.verdicts:
        yield verdict.in_words
    if comparison.importance is not None:
        yield f"In all of them together: {comparison.importance.sentence}"

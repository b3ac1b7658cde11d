"""A quote, a line for each thing that a sweep takes; and what it took beside its quote."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.tracking.results import SweepResult
from sweeps.tracking.short_text import duration

if TYPE_CHECKING:
    from sweeps.quote.assembly import Quote


def print_quote(quote: "Quote") -> None:
    """Print what a sweep will take, and how it was measured."""
    console = open_console(highlight=False, markup=False)
    trials = f"{quote.trials} trial{'' if quote.trials == 1 else 's'}"
    packs = f" in {quote.packs} packs" if quote.packs != quote.trials else ""
    console.print(f"{quote.name}: {trials}{packs}, {quote.at_once} at once, quoted on {quote.host}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(quote):
        table.add_row(Text(name), Text(value))
    console.print(table)
    for note in _notes(quote):
        console.print(note, soft_wrap=True)


def quoted_line(result: SweepResult) -> str | None:
    """Return what `sweeps quote` predicted for a sweep and what it took; None without both."""
    if result.quoted_seconds is None or result.seconds is None:
        return None
    return f"quoted {duration(result.quoted_seconds)}, took {duration(result.seconds)}"


def _lines(quote: "Quote") -> Iterator[tuple[str, str]]:
    yield "whole time", f"{duration(quote.seconds)} ({duration(quote.low)} to {duration(quote.high)})"
    yield "start-up", duration(quote.startup_seconds)
    yield "first result", f"after {duration(quote.first_result_seconds)}"
    yield "a trial", duration(quote.trial_seconds)
    yield "device time", f"{quote.device_hours:.3g} {quote.device} hours"
    if quote.money is not None:
        yield "cost", f"{quote.money:.2f} {quote.currency}"
    yield "memory", f"{_size(quote.memory_bytes)} without Ray; a worker {_size(quote.worker_bytes)}"
    if quote.gpu_bytes:
        yield "GPU memory", f"{_size(quote.gpu_bytes)} a worker"
    yield "disk", _size(quote.disk_bytes)
    yield "MLflow", f"about {quote.mlflow_requests:,} requests"


def _notes(quote: "Quote") -> Iterator[str]:
    if quote.limited_by is not None:
        yield f"ended early by {quote.limited_by}; all its trials would take {duration(quote.upper_seconds)}"
    elif quote.stops_early:
        yield f"trials may stop early: at most {duration(quote.upper_seconds)} if none does"
    if quote.cluster != "this machine":
        yield f"measured on the Ray cluster at {quote.cluster}"
    if quote.corrected_by:
        n, times = quote.corrected_by, "" if quote.corrected_by == 1 else "s"
        yield f"corrected by a factor of {quote.correction:.2f}: {n} quoted sweep{times} on this host and cluster"


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"

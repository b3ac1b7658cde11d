"""The live view of a running sweep, on standard error."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress

REFRESHES_PER_SECOND = 4


@contextmanager
def live_view() -> Iterator[Callable[[Progress], None]]:
    """Show a table of the running sweep, kept up to date; nothing if standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    view = LiveView()
    with Live(view, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True):
        yield view.watch


class LiveView:
    """The live table, drawn anew at each refresh from counters that the sweep's thread updates."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def watch(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> Group | Text:
        return Text("loading data, starting Ray …", style="dim") if self._progress is None else _table(self._progress)


def _table(progress: Progress) -> Group:
    failed = progress.ended.get(PointState.FAILED, 0)
    counts = Table.grid(padding=(0, 2))
    counts.add_row(
        f"{progress.ended.get(PointState.FINISHED, 0)} done",
        f"{len(progress.running)} running{' in packs' if progress.packs else ''}",
        Text(f"{failed} failed", style="red" if failed else ""),
        f"{progress.n_to_come} to come",
        _time_left(progress.seconds_left()),
    )
    bar = Table.grid()
    bar.add_row(ProgressBar(total=progress.n_points, completed=progress.n_ended, width=72))
    lines: list[Table | Text] = [Text(progress.sweep_id, style="bold"), counts, bar]
    if progress.best_point is not None:
        metric = progress.objective.metric
        lines.append(Text(f"best so far: {metric} {progress.best_value:.6g}, trial {progress.best_point}"))
    return Group(*lines)


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest:02d} s left" if minutes else f"{rest} s left"

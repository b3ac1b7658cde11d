"""The live view of a running sweep, on standard error."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from sweeps.cli.display.announcements import Announcements, duration
from sweeps.cli.display.console import SafeConsole
from sweeps.cli.display.sparkline import ASCII, BLOCKS, sparkline
from sweeps.cli.display.trial import number
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage
from sweeps.tracking.trial_progress import TrialProgress

SECONDS_BETWEEN_REFRESHES = 0.25
N_LEADERS = 5
# Narrower terminals have no room for the points of the leading trials.
_WIDE = 72


@contextmanager
def live_view() -> Iterator[Callable[[Progress], None]]:
    """Show a running sweep, kept up to date, with lasting lines above for what is said once.

    Nothing is shown if standard error is no terminal, or one that cannot move its cursor.
    """
    console = SafeConsole(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda _: None
        return
    view, has_ended = LiveView(), threading.Event()
    with Live(view, console=console, auto_refresh=False, transient=True) as live:

        def follow() -> None:
            while not has_ended.wait(SECONDS_BETWEEN_REFRESHES):
                view.announce(console)
                live.refresh()

        thread = threading.Thread(target=follow, name="live-view", daemon=True)
        thread.start()
        try:
            yield view.watch
        finally:
            has_ended.set()
            thread.join()
            view.announce(console)


class LiveView:
    """The live view, drawn anew at each refresh from counters that the sweep's thread updates."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._announcements: Announcements | None = None
        self._spinner = Spinner("dots")

    def watch(self, progress: Progress) -> None:
        """Show this sweep from now on."""
        self._progress, self._announcements = progress, Announcements(progress)

    def announce(self, console: Console) -> None:
        """Print what is new and said once, each as one line of output, so that links and reasons can be copied."""
        for line in self._announcements.new() if self._announcements else ():
            if not line.is_step:
                console.print(Text(line.text, style="red" if line.is_failure else ""), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the view for the current width of the terminal."""
        progress = self._progress
        if progress is None:
            return
        if progress.stage is not Stage.STARTING:
            yield _bar(progress)
            yield _counts(progress)
            yield from _leaders(progress, options)
        if progress.stage is not Stage.TRAINING:
            yield from self._steps(progress, options)
        elif not progress.has_reports:
            yield self._spinning(f"starting workers  {time.monotonic() - progress.steps[-1].began:.0f} s")

    def _spinning(self, text: str) -> Spinner:
        self._spinner.update(text=Text(text, no_wrap=True, overflow="ellipsis"))
        return self._spinner

    def _steps(self, progress: Progress, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Show the steps of a start, or the current one after it, each with its seconds."""
        steps = [step for step in progress.steps if step.stage is progress.stage]
        ends = [step.began for step in steps[1:]] + [time.monotonic()]
        done = "*" if options.ascii_only else "✓"
        for step, end in zip(steps, ends, strict=True):
            text = f"{step.text}  {end - step.began:.0f} s"
            if step is steps[-1]:
                yield self._spinning(text)
            else:
                yield Text(f"{done} {text}", style="dim")


def _bar(progress: Progress) -> RenderableType:
    """Return a bar by the epochs of all trials, and the time left once an epoch has been measured."""
    done, total = progress.epochs()
    left = progress.seconds_left() if progress.stage is Stage.TRAINING else None
    bars = Bars(
        BarColumn(None), TaskProgressColumn(), TextColumn("{task.fields[epochs]}"), auto_refresh=False, expand=True
    )
    words = f"{done}/{total} epochs" + ("" if left is None else f", about {duration(left)} left")
    bars.add_task("", total=max(1, total), completed=done, epochs=words)
    return bars.make_tasks_table(bars.tasks)


def _counts(progress: Progress) -> Text:
    failed = progress.ended.get(PointState.FAILED, 0)
    words = [
        (f"{progress.ended.get(PointState.FINISHED, 0)} done", ""),
        (f"{len(progress.running)} running{' in packs' if progress.packs else ''}", ""),
        (f"{failed} failed", "red" if failed else ""),
        (f"{progress.n_to_come} to come", ""),
    ]
    return Text("  ").join(Text(*word) for word in words)


def _leaders(progress: Progress, options: ConsoleOptions) -> Iterator[Table]:
    """Show the leading trials: epoch, best value of the objective so far, and its course over the epochs."""
    leaders = progress.leaders(N_LEADERS)
    if not leaders:
        return
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("trial", no_wrap=True)
    if is_wide := options.max_width >= _WIDE:
        table.add_column("point", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column(progress.objective.metric, justify="right", no_wrap=True)
    width = 16 if is_wide else 10
    table.add_column("over epochs", width=width, no_wrap=True)
    for trial in leaders:
        table.add_row(*_row(trial, width, is_wide=is_wide, characters=ASCII if options.ascii_only else BLOCKS))
    yield table


def _row(trial: TrialProgress, width: int, *, is_wide: bool, characters: str) -> list[Text]:
    style = "" if trial.state is PointState.RUNNING else "dim"
    cells = [trial.point_id, trial.name] if is_wide else [trial.point_id]
    cells += [f"{trial.epoch}/{trial.n_epochs}", number(trial.value), sparkline(trial.curve, width, characters)]
    return [Text(cell, style=style) for cell in cells]

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
from rich.text import Text

from sweeps.cli.display.announcements import Announcements, duration
from sweeps.cli.display.console import SafeConsole
from sweeps.cli.display.live_rows import trial_table
from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage

SECONDS_BETWEEN_REFRESHES = 0.25


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

    def announce(self, console: Console, *, only_failures: bool = False) -> None:
        """Print what is new and said once, each as one line of output, so that links and reasons can be copied."""
        for line in self._announcements.new() if self._announcements else ():
            if line.is_failure or not (line.is_step or only_failures):
                console.print(Text(line.text, style="red" if line.is_failure else ""), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the view for the current size of the terminal: trials get the lines that the rest leaves."""
        progress = self._progress
        if progress is None:
            return
        steps: list[RenderableType] = []
        if progress.stage is not Stage.TRAINING:
            steps = list(self._steps(progress, options))
        elif not progress.has_reports:
            steps = [self._spinning(f"starting workers  {time.monotonic() - progress.steps[-1].began:.0f} s")]
        n_lines = max(1, console.height - 1)  # the cursor stands in the last one
        if progress.stage is not Stage.STARTING:
            yield from _state(progress, console, options, n_lines - len(steps))
        yield from steps[-n_lines:]

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


def _state(progress: Progress, console: Console, options: ConsoleOptions, n_lines: int) -> Iterator[RenderableType]:
    """Draw bar, counts, trials and delivery in at most `n_lines`: trials get those that the rest leaves."""
    delivery = progress.delivery()
    below = [] if delivery is None else [_delivery(delivery)]
    counts = [_counts(progress)]
    n_counts = len(counts[0].wrap(console, options.max_width))
    if 1 + n_counts + len(below) > n_lines:
        counts, n_counts = [_in_one_line(counts[0])][: n_lines - 1], 1
        below = below[: max(0, n_lines - 2)]
    yield _bar(progress)
    yield from counts
    height = n_lines - 1 - n_counts - len(below)
    if table := trial_table(progress, options.max_width, height, ascii_only=options.ascii_only):
        yield table
    yield from below


def _in_one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


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


def _delivery(delivery: DeliveryProgress) -> Text:
    return _in_one_line(Text(str(delivery), style="yellow" if delivery.error else "dim"))

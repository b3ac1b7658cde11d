"""The progress bar of a sweep in a notebook: HTML that is updated in place, without widgets."""

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from sweeps.api.notebook_trials import trials_html
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage

SECONDS_BETWEEN_UPDATES = 0.5
_SECONDS_PER_MINUTE = 60
_MAX_FAILURES = 3


@contextmanager
def notebook_bar() -> Iterator[Callable[[Progress], None]]:
    """Show the newest sweep that starts, kept up to date; its last state stays in the notebook."""
    display = importlib.import_module("IPython.display")
    bar = _Bar(display)
    thread = threading.Thread(target=bar.follow, name="notebook-bar", daemon=True)
    thread.start()
    try:
        yield bar.watch
    finally:
        bar.has_ended.set()
        thread.join()
        bar.update()


class _Bar:
    """One display of a notebook, drawn anew from counters that the sweep's thread updates."""

    def __init__(self, display: Any) -> None:
        self._html = display.HTML
        self._handle = display.display(self._html("<div>starting</div>"), display_id=True)
        self._progress: Progress | None = None
        self._shown = ""
        self.has_ended = threading.Event()

    def watch(self, progress: Progress) -> None:
        """Show this sweep from now on."""
        self._progress = progress

    def follow(self) -> None:
        """Update the display until the sweep has ended."""
        while not self.has_ended.wait(SECONDS_BETWEEN_UPDATES):
            self.update()

    def update(self) -> None:
        """Show what has changed."""
        if self._progress is None:
            return
        html = bar_html(self._progress, has_ended=self.has_ended.is_set())
        if html != self._shown:
            self._shown = html
            self._handle.update(self._html(html))


def bar_html(progress: Progress, *, has_ended: bool = False) -> str:
    """Return a bar by the epochs of all trials, and below it counters, trials, failures and delivery to MLflow."""
    done, total = progress.epochs()
    head = progress.sweep_id or "starting"
    if not has_ended:
        head += f": {_doing(progress)}"
    best = [
        f"best {progress.objective.metric} {best.value:.4g} (trial {best.point_id}: {best.name})"
        for best in progress.leaders(1)
    ]
    bar = f'<progress style="width:100%" value="{done}" max="{max(1, total)}"></progress>'
    above = _lines([head, _counts(progress), *best])
    below = _lines([*_failures(progress), *map(str, filter(None, [progress.delivery()]))])
    return f'<div style="max-width:800px">{bar}{above}{trials_html(progress)}{below}</div>'


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"<div>{escape(line)}</div>" for line in lines)


def _failures(progress: Progress) -> list[str]:
    """Return a line for each of the newest failures, after the number of those before them."""
    failures = list(progress.failures)
    n_hidden = max(0, len(failures) - _MAX_FAILURES)
    lines = [f"{n_hidden} more failed before these"] if n_hidden else []
    return lines + [f"trial {failure.point_id} failed: {failure.reason}" for failure in failures[n_hidden:]]


def _doing(progress: Progress) -> str:
    """Return the current step, and the time left once an epoch has been measured."""
    left = progress.seconds_left() if progress.stage is Stage.TRAINING else None
    step = progress.steps[-1].text if progress.steps else str(progress.stage)
    if left is None:
        return step
    minutes, seconds = divmod(round(left), _SECONDS_PER_MINUTE)
    return f"{step}, about {f'{minutes} min ' if minutes else ''}{seconds} s left"


def _counts(progress: Progress) -> str:
    done, total = progress.epochs()
    finished, failed = progress.ended.get(PointState.FINISHED, 0), progress.ended.get(PointState.FAILED, 0)
    words = [
        f"{finished} of {progress.n_points} trials finished",
        f"{failed} failed",
        f"{len(progress.running)} running",
    ]
    return ", ".join([*words, f"{done} of {total} epochs"])

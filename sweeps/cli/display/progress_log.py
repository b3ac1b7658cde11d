"""Progress of a sweep as log lines: for the log of a job, and where there is no terminal."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.cli.display.announcements import Announcements, duration
from sweeps.errors import InputError
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage
from sweeps.tracking.results import SweepResult

# In the log of a job, whose newest line `sweeps status` shows; and where a person may read every line.
SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LINES_FOR_READERS = 5.0, 30.0
# How often to look for what is said once: steps, failures.
_SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def log_progress(
    log: Callable[[str], None], seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[Progress], None]]:
    """Log what is said once as soon as it is known, and the counters at intervals if they have changed."""
    has_ended = threading.Event()
    logs: list[_Log] = []

    def follow() -> None:
        while not has_ended.wait(min(seconds_between_lines, _SECONDS_BETWEEN_LOOKS)):
            if logs:
                logs[-1].write()

    def watch(progress: Progress) -> None:
        logs.append(_Log(progress, log, seconds_between_lines))

    thread = threading.Thread(target=follow, name="progress-log", daemon=True)
    is_refused = False
    thread.start()
    try:
        yield watch
    except InputError:
        is_refused = True  # nothing has started, and the error says all
        raise
    finally:
        has_ended.set()
        thread.join()
        if logs and not is_refused:
            logs[-1].announce()


class _Log:
    """The log of one sweep."""

    def __init__(self, progress: Progress, log: Callable[[str], None], seconds_between_lines: float) -> None:
        self._progress = progress
        self._announcements = Announcements(progress)
        self._log = log
        self._seconds = seconds_between_lines
        self._written = time.monotonic()
        self._last = ""

    def write(self) -> None:
        """Log what is new and said once, and the counters when they are due."""
        self.announce()
        if self._progress.stage is not Stage.TRAINING or time.monotonic() - self._written < self._seconds:
            return
        self._written = time.monotonic()
        line = _line(self._progress)
        if line != self._last:
            self._log(line + _time_left(self._progress))
        self._last = line

    def announce(self) -> None:
        """Log what is new and said once."""
        for line in self._announcements.new():
            self._log(f"{line.text} ..." if line.is_step else line.text)


def last_line(result: SweepResult) -> str:
    """Return the result of a sweep in one line."""
    line = f"{result.record.state}: {result.n_ended} of {result.config.n_trials} trials ended"
    line += f", {result.count(PointState.FAILED)} failed"
    if result.best is not None:
        name = result.objective_metrics[0]
        line += f", best {name} {result.best.metrics[name]:.6g} (trial {result.best.trial})"
    if result.n_undelivered:
        line += f"; {result.n_undelivered} undelivered MLflow records"
    return line


def counts(progress: Progress, epochs: str = "") -> str:
    """Return how many trials ended, failed and run, and the best value so far; `epochs` stands between them."""
    failed = progress.ended.get(PointState.FAILED, 0)
    n_ended = progress.ended.get(PointState.FINISHED, 0) + failed  # killed trials will be resumed
    line = f"{n_ended} of {progress.n_points} trials ended, {failed} failed, {len(progress.running)} running{epochs}"
    for best in progress.leaders(1):
        line += f", best {progress.objective.metric} {best.value:.6g} (trial {best.point_id}, epoch {best.best_epoch})"
    return line


def _line(progress: Progress) -> str:
    done, total = progress.epochs()
    return counts(progress, f", {done} of {total} epochs")


def _time_left(progress: Progress) -> str:
    left = progress.seconds_left()
    return "" if left is None else f", about {duration(left)} left"

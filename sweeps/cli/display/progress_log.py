"""Progress of a sweep as log lines: for the log of a job, and where there is no terminal."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult

# In the log of a job, whose newest line `sweeps status` shows; and where a person may read every line.
SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LINES_FOR_READERS = 5.0, 30.0


@contextmanager
def log_progress(
    log: Callable[[str], None], seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[Progress], None]]:
    """Log the sweep's id once it has one, and its progress whenever that has changed."""
    has_ended = threading.Event()
    watched: list[Progress] = []

    def follow() -> None:
        last = None
        while not has_ended.wait(seconds_between_lines):
            line = _line(watched[0]) if watched else "loading data, connecting to Ray"
            if line != last:
                log(line)
            last = line

    def watch(progress: Progress) -> None:
        watched.append(progress)
        log(_first_line(progress))

    thread = threading.Thread(target=follow, name="progress-log", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        has_ended.set()
        thread.join()


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


def _first_line(progress: Progress) -> str:
    how = "in packs" if progress.packs else "one by one"
    return f"{progress.sweep_id}: {progress.n_points} trials {how}, {progress.n_at_once} at once"


def _line(progress: Progress) -> str:
    failed = progress.ended.get(PointState.FAILED, 0)
    n_ended = progress.ended.get(PointState.FINISHED, 0) + failed  # killed trials will be resumed
    line = f"{n_ended} of {progress.n_points} trials ended, {failed} failed, {len(progress.running)} running"
    if progress.best_point is not None:
        line += f", best {progress.objective.metric} {progress.best_value:.6g} (trial {progress.best_point})"
    return line

"""What a log shows of a sweep, of a submitted one or where there is no terminal: how far it is, and how it ended."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult

# Of a job, of which `sweeps status` tells the last line; and where somebody may read them all.
SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LINES_FOR_READERS = 5.0, 30.0


@contextmanager
def logged(
    tell: Callable[[str], None], seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Callable[[Progress], None]]:
    """Tell when the sweep has its id, and how far it is whenever that has changed."""
    over = threading.Event()
    watched: list[Progress] = []

    def follow() -> None:
        last = None
        while not over.wait(seconds_between_lines):
            line = _line(watched[0]) if watched else "loading data, connecting to Ray"
            if line != last:
                tell(line)
            last = line

    def watch(progress: Progress) -> None:
        watched.append(progress)
        tell(_first_line(progress))

    thread = threading.Thread(target=follow, name="joblog", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def outcome(result: SweepResult) -> str:
    """How a sweep ended, in one line."""
    line = f"{result.record.state}: {result.n_ended} of {result.config.n_trials} trials ended"
    line += f", {result.count(PointState.FAILED)} failed"
    if result.best is not None:
        name = result.objective_metrics[0]
        line += f", best {name} {result.best.metrics[name]:.6g} (trial {result.best.trial})"
    if result.n_undelivered:
        line += f"; MLflow has yet to get {result.n_undelivered} entries"
    return line


def _first_line(progress: Progress) -> str:
    how = "in packs" if progress.packs else "one by one"
    return f"{progress.sweep_id}: {progress.n_points} trials {how}, {progress.n_at_once} at once"


def _line(progress: Progress) -> str:
    failed = progress.ended.get(PointState.FAILED, 0)
    n_ended = progress.ended.get(PointState.FINISHED, 0) + failed  # those that were killed are resumed
    line = f"{n_ended} of {progress.n_points} trials ended, {failed} failed, {len(progress.running)} running"
    if progress.best_point is not None:
        line += f", best {progress.objective.metric} {progress.best_value:.6g} (trial {progress.best_point})"
    return line

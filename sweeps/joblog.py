"""What the log of a submitted sweep shows of it: a line whenever trials have ended, and one at its end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.progress import Progress
from sweeps.results import SweepResult
from sweeps.tracking.records import PointState

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def logged(tell: Callable[[str], None]) -> Iterator[Callable[[Progress], None]]:
    """Tell how far the sweep is whenever that has changed."""
    over = threading.Event()
    watched: list[Progress] = []

    def follow() -> None:
        last = None
        while not over.wait(SECONDS_BETWEEN_LINES):
            line = _line(watched[0]) if watched else "loading data, connecting to Ray"
            if line != last:
                tell(line)
            last = line

    thread = threading.Thread(target=follow, name="joblog", daemon=True)
    thread.start()
    try:
        yield watched.append
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


def _line(progress: Progress) -> str:
    failed = progress.ended.get(PointState.FAILED, 0)
    n_ended = progress.ended.get(PointState.FINISHED, 0) + failed  # those that were killed are resumed
    line = f"{n_ended} of {progress.n_points} trials ended, {failed} failed, {len(progress.running)} running"
    if progress.best_point is not None:
        line += f", best {progress.objective.metric} {progress.best_value:.6g} (trial {progress.best_point})"
    return line

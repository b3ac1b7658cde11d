"""What is said once about a running sweep, on a terminal and in a log: steps, cluster, where to look, failures."""

from dataclasses import dataclass

from sweeps.tracking.progress import Failure, Progress, Stage

# A sweep where every trial fails does not fill the screen.
MAX_FAILURES = 20


@dataclass(frozen=True)
class Line:
    """A line to print once; `is_step` marks what a live view shows by itself."""

    text: str
    is_failure: bool = False
    is_step: bool = False


class Announcements:
    """The lines that are new since the last call, in the order in which they became known."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._n_steps = 0
        self._n_failures = 0
        self._said: set[str] = set()

    def new(self) -> list[Line]:
        """Return the new lines."""
        progress = self._progress
        steps = [step for step in progress.steps[self._n_steps :] if step.stage is not Stage.TRAINING]
        self._n_steps = len(progress.steps)
        lines = [Line(step.text, is_step=True) for step in steps]
        lines += [
            Line(text) for text in (progress.cluster, self._plan(), progress.where_to_look()) if self._is_new(text)
        ]
        failures = progress.failures[self._n_failures :]
        lines += [
            Line(_failure(failure), is_failure=True) for failure in failures[: max(0, MAX_FAILURES - self._n_failures)]
        ]
        self._n_failures += len(failures)
        if self._n_failures > MAX_FAILURES:
            text = f"more trials fail: `sweeps status {progress.sweep_id}` lists them"
            lines += [Line(text, is_failure=True)] if self._is_new(text) else []
        return lines

    def _plan(self) -> str:
        progress = self._progress
        if progress.stage is not Stage.TRAINING:
            return ""
        how = "in packs" if progress.packs else "one by one"
        return f"{progress.sweep_id}: {progress.n_points} trials {how}, {progress.n_at_once} at once"

    def _is_new(self, text: str) -> bool:
        if not text or text in self._said:
            return False
        self._said.add(text)
        return True


def duration(seconds: float) -> str:
    """Return a time in words, as precise as an estimate is: `45 s`, `3 min`, `2 h 05 min`."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _failure(failure: Failure) -> str:
    name = f" ({failure.name})" if failure.name else ""
    return f"trial {failure.point_id}{name} failed: {' '.join(failure.reason.split())}"

"""The status of a sweep, wherever it runs, as typed values."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from sweeps.tracking.journal.records import PointState
from sweeps.tracking.short_text import fitted, number

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submitted_sweep import SubmittedSweep
    from sweeps.tracking.all_results import UnreadableSweep
    from sweeps.tracking.mlflow.run_lookup import TrackedSweep
    from sweeps.tracking.sweep_result import SweepResult

UNREADABLE = "UNREADABLE"
_ENDED = ("FINISHED", "FAILED", "INTERRUPTED", "KILLED", UNREADABLE)


@dataclass(frozen=True)
class SweepStatus:
    """A sweep's state and its trials; None where the place that answered does not know a value.

    `state` is RUNNING, FINISHED, FAILED or INTERRUPTED, also PENDING on a cluster, KILLED in MLflow, and UNREADABLE if
    its records are damaged. `where` is the place that answered. `n_trials` are all that the sweep trains. `best_trial`
    is the best finished one, with the `best_value` of the objective. `message` is the newest log line of a sweep on a
    cluster, or why the records cannot be read.
    """

    sweep: str
    state: str
    where: Literal["here", "cluster", "mlflow"]
    n_trials: int | None = None
    n_finished: int | None = None
    n_failed: int | None = None
    n_running: int | None = None
    best_trial: str | None = None
    best_value: float | None = None
    metric: str | None = None
    started: datetime | None = None
    seconds: float | None = None
    n_undelivered: int | None = None
    owner: str | None = None
    message: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of the sweep is pending or running."""
        return self.state in _ENDED

    @classmethod
    def of_result(cls, result: "SweepResult") -> Self:
        """Return the status of a sweep on this machine."""
        best, metric = result.best, result.objective_metrics[0]
        return cls(
            sweep=result.sweep,
            state=str(result.record.state),
            where="here",
            n_trials=result.config.n_trials,
            n_finished=result.count(PointState.FINISHED),
            n_failed=result.count(PointState.FAILED),
            n_running=result.count(PointState.RUNNING),
            best_trial=None if best is None else best.trial,
            best_value=None if best is None else best.metrics.get(metric),
            metric=metric,
            started=_time(result.record.start_ms),
            seconds=result.seconds,
            n_undelivered=result.n_undelivered,
        )

    @classmethod
    def of_submitted(cls, submitted: "SubmittedSweep") -> Self:
        """Return the status of a sweep by its jobs on a cluster."""
        return cls(
            submitted.sweep,
            str(submitted.state),
            "cluster",
            n_trials=submitted.n_trials,
            started=None if submitted.started_ms is None else _time(submitted.started_ms),
            owner=submitted.owner,
            message=submitted.last_line,
        )

    @classmethod
    def of_tracked(cls, tracked: "TrackedSweep") -> Self:
        """Return the status of a sweep by its MLflow runs."""
        trials = tracked.trials
        return cls(
            tracked.sweep,
            tracked.state,
            "mlflow",
            n_finished=trials.get("FINISHED", 0) if trials else None,
            n_failed=trials.get("FAILED", 0) if trials else None,
            n_running=trials.get("RUNNING", 0) if trials else None,
            started=_time(tracked.started_ms),
            owner=tracked.owner,
        )

    @classmethod
    def of_unreadable(cls, unreadable: "UnreadableSweep") -> Self:
        """Return the status of a sweep whose records cannot be read."""
        return cls(unreadable.sweep, UNREADABLE, "here", message=unreadable.reason)

    def __repr__(self) -> str:
        places = {"here": "", "cluster": " on the cluster", "mlflow": " in MLflow"}
        lines = [f"SweepStatus {self.sweep} {self.state}{places[self.where]}"]
        counts = {"finished": self.n_finished, "failed": self.n_failed, "running": self.n_running}
        words = [f"{count} {name}" for name, count in counts.items() if count is not None]
        if words:
            of_all = "" if self.n_trials is None else f" of {self.n_trials} trials"
            lines.append(f"  {', '.join(words)}{of_all}")
        if self.best_trial is not None:
            lines.append(f"  best trial {self.best_trial}: {self.metric} {number(self.best_value)}")
        if self.message is not None:
            lines.append(f"  {self.message}")
        return fitted(lines)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

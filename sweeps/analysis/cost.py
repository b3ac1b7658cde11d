"""What a sweep has spent: time, device time and epochs, and what early stopping saved."""

from dataclasses import dataclass

from sweeps.search.stopping import ALL_EPOCHS
from sweeps.tracking.journal.records import PointRecord, PointState
from sweeps.tracking.sweep_result import SweepResult


@dataclass(frozen=True)
class Cost:
    """The cost of a sweep so far. `wall_seconds` is from its start to its end, or to the last trial that ended.

    `trial_seconds` is the sum over the trials that ended; trials of a pack train at the same time, each for the pack's
    whole time. `busy_seconds` is how long at least one trial trained. `device_seconds` is the device time that the
    sweep has recorded (see `sweeps.tracking.device_time`); None for sweeps of versions that recorded none.

    `saved_epochs` were left out by early stopping; `planned_epochs` is what all ended trials would have trained.
    """

    wall_seconds: float | None
    startup_seconds: float | None
    trial_seconds: float
    busy_seconds: float
    device_seconds: float | None
    epochs: int
    planned_epochs: int
    saved_epochs: int


def cost(result: SweepResult) -> Cost:
    """Return what the trials of a sweep have cost."""
    ended = [point for point in result.points if point.seconds is not None]
    trial_seconds = sum(point.seconds or 0.0 for point in ended)
    finished = [point for point in ended if point.state is PointState.FINISHED]
    return Cost(
        wall_seconds=_wall_seconds(result, ended),
        startup_seconds=result.startup_seconds,
        trial_seconds=trial_seconds,
        busy_seconds=_busy_seconds(ended),
        device_seconds=None if result.device_hours is None else 3600 * result.device_hours,
        epochs=sum(result.epochs.get(point.point_id, 0) for point in ended),
        planned_epochs=sum(result.config.epochs_at(dict(point.point)) for point in ended),
        saved_epochs=sum(saved_epochs(result, point) for point in finished),
    )


def saved_epochs(result: SweepResult, point: PointRecord) -> int:
    """Return the epochs that a finished trial did not train because a rule stopped it early."""
    if point.state is not PointState.FINISHED or point.stopped_by == ALL_EPOCHS or is_cut_by_budget(point):
        return 0
    return max(0, result.config.epochs_at(dict(point.point)) - result.epochs.get(point.point_id, 0))


def is_cut_by_budget(point: PointRecord) -> bool:
    """Return whether the budget of the sweep ended a trial, which saves nothing: the trial was cut short."""
    return (point.stopped_by or "").startswith("budget.")


def _wall_seconds(result: SweepResult, ended: list[PointRecord]) -> float | None:
    if result.seconds is not None:
        return result.seconds
    ends = [point.end_ms for point in ended if point.end_ms is not None]
    return (max(ends) - result.record.start_ms) / 1000 if ends else None


def _busy_seconds(ended: list[PointRecord]) -> float:
    """Return the length of the union of the trials' times; of a resumed trial only the time since counts."""
    spans = sorted((point.resumed_ms or point.start_ms, point.end_ms or point.start_ms) for point in ended)
    busy, until = 0, -1
    for start, end in spans:
        busy += max(0, end - max(start, until))
        until = max(until, end)
    return busy / 1000

"""Read the result of a sweep from its journal: the one source of `run`, `status`, `best` and `list`."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from sweeps.config import SweepConfig
from sweeps.errors import ConfigError
from sweeps.models.diagnosis.findings import with_severities
from sweeps.search.ranking import History, Score, best_epoch, front, rank
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import is_owned
from sweeps.tracking.journal.database import damaged
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.sweep_result import (
    SECONDS,
    SOME_TRIALS_FAILED,
    STARTUP_SECONDS,
    RankedTrial,
    SweepResult,
)

__all__ = [
    "SECONDS",
    "SOME_TRIALS_FAILED",
    "STARTUP_SECONDS",
    "RankedTrial",
    "SweepResult",
    "load_result",
    "read_result",
    "restored_config",
]


def load_result(folder: SweepFolder) -> SweepResult:
    """Return the current result of the sweep in a folder; if its process was lost, the sweep is INTERRUPTED."""
    # Before the journal is read: a sweep that ends in between is not lost.
    is_running = is_owned(folder)
    with read_journal(folder) as journal:
        result = read_result(journal, folder)
        is_lost = result.record.state is SweepState.RUNNING and not is_running
        return _as_interrupted(result, journal.last_ms()) if is_lost else result


def read_result(journal: Journal, folder: SweepFolder, history: Callable[[str], History] | None = None) -> SweepResult:
    """Return the current result of the sweep in `folder`, which the open journal records.

    `history` returns a point's metrics by epoch; by default the journal is read.
    """
    history = history or journal.history
    record = journal.sweep()
    config, epochs = restored_config(record, journal), journal.last_epochs()
    points = {point.point_id: point for point in journal.points()}
    counted = [point.point_id for point in points.values() if point.state in (PointState.FINISHED, PointState.RUNNING)]
    histories = {point_id: history(point_id) for point_id in counted}
    scores = {point_id: best_epoch(history, config.objectives) for point_id, history in histories.items()}
    scored, running = _by_whether_finished(scores, points)
    trials = {
        point_id: _ranked_trial(points[point_id], score.epoch, dict(histories[point_id]))
        for point_id, score in (scored | running).items()
    }
    return SweepResult(
        folder=folder,
        record=record,
        config=config,
        points=tuple(points.values()),
        ranking=[trials[point_id] for point_id in rank(scored, config.objectives)],
        front=[trials[point_id] for point_id in front(scored, config.objectives)],
        store=journal.delivery.store(),
        n_undelivered=journal.delivery.n_undelivered(),
        refusals=[reason for _, reason in journal.delivery.refusals()],
        leader=next((trials[point_id] for point_id in rank(running, config.objectives)), None),
        epochs=epochs,
    )


def restored_config(record: SweepRecord, journal: Journal) -> SweepConfig:
    """Return the config of a recorded sweep; DamagedJournal if it is none."""
    try:
        return SweepConfig.restore(record.config)
    except ConfigError as error:
        raise damaged(journal.path, f"its config is not valid ({error.issues[0]})") from None


def _by_whether_finished(
    scores: Mapping[str, Score | None], points: Mapping[str, PointRecord]
) -> tuple[dict[str, Score], dict[str, Score]]:
    """Return the scores of finished points and of running points that have one."""
    finished: dict[str, Score] = {}
    running: dict[str, Score] = {}
    for point_id, score in scores.items():
        if score is not None:
            (finished if points[point_id].state is PointState.FINISHED else running)[point_id] = score
    return finished, running


def _as_interrupted(result: SweepResult, last_ms: int) -> SweepResult:
    """Return the result as `end_lost_sweep` will record it: its process was lost after the journal's last entry."""
    points = [
        replace(point, state=PointState.KILLED, end_ms=last_ms) if point.state is PointState.RUNNING else point
        for point in result.points
    ]
    return replace(result, record=replace(result.record, state=SweepState.INTERRUPTED), points=points, leader=None)


def _ranked_trial(point: PointRecord, epoch: int, history: Mapping[int, Mapping[str, float]]) -> RankedTrial:
    return RankedTrial(
        trial=point.point_id,
        run_id=point.run_id,
        run_name=point.run_name,
        point=point.point,
        epoch=epoch,
        metrics=history[epoch],
        diagnosis=with_severities(point.diagnosis),
        epochs=max(history),
        stopped_by=point.stopped_by,
    )

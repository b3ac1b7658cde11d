"""The counters of a sweep that another process runs, read from its journal."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.config import SweepConfig
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.journal_progress import JournalProgress
from sweeps.tracking.mlflow.run_metadata import PACK_TAG
from sweeps.tracking.progress import Progress

START = 1_700_000_000_000


def start(journal: Journal, index: int, pack: str | None = None) -> None:
    tags = {} if pack is None else {PACK_TAG: pack}
    point = {"model.hidden_size": 8 * (index + 1)}
    journal.start_point(PointRecord(f"p{index}", index, point, f"p{index} h={index}", START, tags=tags))


def train(journal: Journal, index: int, first: int, last: int) -> None:
    for epoch in range(first, last + 1):
        journal.record_epoch(f"p{index}", epoch, {"valid/mse": index + 1 / epoch}, START + 1000 * epoch)


@pytest.fixture
def journal(tmp_path: Path, small_sweep: Callable[..., SweepConfig]) -> Iterator[Journal]:
    record = SweepRecord("watched", "small", "small", small_sweep().to_dict(), START)
    with Journal.create(tmp_path / "journal.db", record) as journal:
        yield journal


def state(progress: Progress) -> tuple[object, ...]:
    leaders = [(trial.point_id, trial.value, trial.epoch) for trial in progress.leaders(9)]
    return progress.n_points, dict(progress.running), dict(progress.ended), leaders, progress.epochs()


def test_it_counts_what_a_journal_records_whether_at_once_or_entry_by_entry(journal: Journal) -> None:
    followed = JournalProgress(journal)
    steps: list[Callable[[], object]] = [
        lambda: start(journal, 0),
        lambda: train(journal, 0, 1, 3),
        lambda: start(journal, 1),
        lambda: train(journal, 1, 1, 2),
        lambda: journal.end_point("p0", PointEnd(PointState.FINISHED), START + 9000),
        lambda: journal.end_point("p1", PointEnd(PointState.FAILED, "diverged"), START + 9000),
    ]
    for act in steps:
        act()
        followed.update(journal)
        at_once = JournalProgress(journal)
        at_once.update(journal)
        assert state(followed.progress) == state(at_once.progress)
    progress = followed.progress
    assert (progress.ended, progress.running) == ({PointState.FINISHED: 1, PointState.FAILED: 1}, {})
    assert [(failure.point_id, failure.reason) for failure in progress.failures] == [("p1", "diverged")]
    assert progress.leaders(1)[0].value == pytest.approx(1 / 3)
    assert progress.leaders(1)[0].name == "h=8"
    assert followed.delivery is not None
    assert (followed.delivery.n_delivered, followed.delivery.n_waiting) == (0, journal.last_id())


def test_a_resumed_trial_runs_again_after_the_epochs_that_it_has_trained(journal: Journal) -> None:
    followed = JournalProgress(journal)
    start(journal, 0)
    train(journal, 0, 1, 3)
    journal.end_point("p0", PointEnd(PointState.KILLED, "interrupted"), START + 4000)
    followed.update(journal)
    assert followed.progress.ended == {PointState.KILLED: 1}
    journal.resume_sweep({**journal.sweep().config, "budget": {"trials": 3}}, {}, START + 5000)
    journal.retry_point("p0", "the sweep was resumed", START + 5000)
    followed.update(journal)
    assert (followed.progress.n_ended, followed.progress.running) == (0, {"p0": 3})
    train(journal, 0, 4, 5)
    followed.update(journal)
    trial = followed.progress.trials["p0"]
    assert (trial.epoch, len(trial.curve), trial.state) == (5, 5, PointState.RUNNING)


def test_packs_are_counted_as_they_run(journal: Journal) -> None:
    followed = JournalProgress(journal)
    for index in range(4):
        start(journal, index, pack=f"p{index // 2 * 2}")
    followed.update(journal)
    assert (followed.progress.packs, followed.progress.n_at_once) == (True, 2)


def test_reading_changes_nothing(journal: Journal) -> None:
    start(journal, 0)
    with Journal.open(journal.path, read_only=True) as read_only:
        followed = JournalProgress(read_only)
        followed.update(read_only)
        train(journal, 0, 1, 2)
        followed.update(read_only)
    assert followed.progress.running == {"p0": 2}

"""A journal that cannot be written for a while."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.tracking.journal import database, write_buffer
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.journal.write_buffer import JournalBehind


class FullDisk:
    """A journal whose database may not grow: SQLite reports the same error as for a full disk."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.create(path, SweepRecord("s", "quickstart", "e", {}, start_ms=5))

    def fill(self) -> None:
        ((n_pages,),) = self.journal._connection.execute("PRAGMA page_count").fetchall()
        self.journal._connection.execute(f"PRAGMA max_page_count = {n_pages}")

    def free(self) -> None:
        self.journal._connection.execute("PRAGMA max_page_count = 1000000")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FullDisk]:
    made = FullDisk(tmp_path / "journal.db")
    yield made
    made.journal.close()


def record_much(target: Journal, n_epochs: int = 200) -> None:
    target.start_point(PointRecord("p", 0, {}, "p", start_ms=6))
    for epoch in range(1, n_epochs + 1):
        target.record_epoch("p", epoch, {"valid/mse": 1 / epoch, "train/loss": 2 / epoch}, epoch)
    target.end_point("p", PointEnd(PointState.FINISHED), 999)


def test_entries_wait_for_a_full_disk_and_are_recorded_in_order(disk: FullDisk) -> None:
    disk.fill()
    record_much(disk.journal)
    assert disk.journal.problem is not None
    stored = [epoch for epoch, _ in disk.journal.history("p")]
    assert len(stored) < 200
    disk.free()
    disk.journal.catch_up(0)
    assert disk.journal.problem is None
    assert [epoch for epoch, _ in disk.journal.history("p")] == list(range(1, 201))
    assert disk.journal.points()[0].state is PointState.FINISHED
    times = [entry.time_ms for entry in disk.journal.delivery.undelivered(1000)]
    assert times == [5, 6, *range(1, 201), 999]


def test_a_full_disk_is_logged_once_with_advice_and_once_when_it_is_over(
    disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fill()
    with caplog.at_level(logging.WARNING):
        record_much(disk.journal)
        disk.free()
        disk.journal.catch_up(0)
    first, last = (record.getMessage() for record in caplog.records)
    assert "database or disk is full" in first
    assert "free space there" in first
    assert "nothing is lost" in last
    assert disk.journal.problem is None


def test_waiting_for_a_full_disk_ends(disk: FullDisk) -> None:
    disk.fill()
    record_much(disk.journal)
    with pytest.raises(JournalBehind, match="free space there"):
        disk.journal.catch_up(0)
    with pytest.raises(JournalBehind):
        disk.journal.catch_up(600, lambda: True)


def test_the_number_of_waiting_entries_is_bounded(disk: FullDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_buffer, "MAX_WAITING", 50)
    disk.fill()
    with pytest.raises(JournalBehind, match="at most 50 entries"):
        record_much(disk.journal)


def test_a_locked_database_delays_entries_and_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with Journal.create(tmp_path / "journal.db", SweepRecord("s", "quickstart", "e", {}, start_ms=5)) as locked:
        other = sqlite3.connect(locked.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        record_much(locked, n_epochs=3)
        assert "database is locked" in (locked.problem or "")
        other.execute("ROLLBACK")
        other.close()
        locked.catch_up(0)
        assert len(locked.history("p")) == 3


def test_a_permanent_error_is_raised(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal.db", SweepRecord("s", "quickstart", "e", {}, start_ms=5)) as broken:
        broken._connection.execute("DROP TABLE entries")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            broken.start_point(PointRecord("p", 0, {}, "p", start_ms=6))

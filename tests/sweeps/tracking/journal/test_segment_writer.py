"""When segments are written, merged, and when checkpoints are removed."""

import errno
import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from polling import wait_until

from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import RemotePath
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.journal import database, segment_writer
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.journal.restore import open_journal
from sweeps.tracking.journal.segment_writer import FolderBehind, SegmentWriter
from sweeps.tracking.journal.segments import list_segments, read_segments


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "s")


@pytest.fixture
def journal(folder: SweepFolder) -> Iterator[Journal]:
    with Journal.create(folder.journal, SweepRecord("s", "n", "e", {}, start_ms=5)) as journal:
        yield journal


def test_the_start_of_a_sweep_is_copied_at_once(journal: Journal, folder: SweepFolder) -> None:
    writer = SegmentWriter(journal, folder)
    writer.start()
    assert len(read_segments(folder.segments).rows) == 1
    writer.close()


def test_an_entry_is_copied_in_time(journal: Journal, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "SECONDS", 0.05)
    writer = SegmentWriter(journal, folder)
    writer.start()
    journal.record_epoch("p", 1, {}, 6)
    wait_until(lambda: journal.delivery.committed() == 2)
    writer.close()


def test_many_entries_are_copied_at_once(
    journal: Journal, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_writer, "SECONDS", 1e9)
    monkeypatch.setattr(segment_writer, "MAX_WAITING", 3)
    writer = SegmentWriter(journal, folder)
    writer.start()
    for epoch in range(3):
        journal.record_epoch("p", epoch, {}, 6)
    wait_until(lambda: journal.delivery.committed() == 4)
    writer.close()


def test_close_copies_the_remaining_entries(journal: Journal, folder: SweepFolder) -> None:
    writer = SegmentWriter(journal, folder)
    writer.start()
    journal.record_epoch("p", 1, {}, 6)
    writer.close()
    assert list(read_segments(folder.segments).rows) == journal.rows(1)


def test_a_long_sweep_leaves_few_segments_and_all_its_entries(
    journal: Journal, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_writer, "FEW", 20)
    monkeypatch.setattr(segment_writer, "N_MERGED", 8)
    writer = SegmentWriter(journal, folder)
    for epoch in range(200):
        journal.record_epoch("p", epoch, {}, 6)
        writer.commit()
    assert list(read_segments(folder.segments).rows) == journal.rows(1)
    assert len(list_segments(folder.segments)) < 200 / 20 + 8


@pytest.mark.parametrize(
    ("state", "stays"), [(PointState.FINISHED, False), (PointState.FAILED, False), (PointState.KILLED, True)]
)
def test_a_checkpoint_stays_until_the_end_of_its_point_is_committed(
    journal: Journal, folder: SweepFolder, state: PointState, stays: bool
) -> None:
    writer = SegmentWriter(journal, folder)
    checkpoint = folder.point("0000").checkpoint
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    journal.start_point(PointRecord("0000", 0, {}, "p", start_ms=6))
    writer.commit()
    journal.end_point("0000", PointEnd(state), 7)
    assert checkpoint.exists()
    writer.commit()
    assert checkpoint.exists() == stays


def test_a_full_disk_is_logged_once_and_waited_for(
    journal: Journal, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = SegmentWriter(journal, folder)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert not writer.commit()
        assert not writer.commit()
        assert journal.delivery.committed() == 0
    assert ["free space there" in message for message in caplog.messages] == [True]
    assert writer.commit()
    assert journal.delivery.committed() == 1
    assert "nothing is lost" in caplog.messages[-1]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepFolder:
    """The folder of a sweep in a store."""
    monkeypatch.setenv("SWEEPS_LOCAL", str(tmp_path / "here"))
    return SweepFolder(RemotePath(f"memory://{token_hex(4)}/home/sweeps/s"))


def run_out(folder: SweepFolder) -> None:
    """Make the lease expire, as when its owner cannot reach the store for a minute."""
    assert folder.lease is not None
    folder.lease.write_bytes(json.dumps(json.loads(folder.lease.read_bytes()) | {"renewed": 0.0}).encode())


def lease_to(folder: SweepFolder, host: str) -> None:
    assert folder.lease is not None
    owner = {"host": host, "pid": 2, "started": 2}
    folder.lease.write_bytes(json.dumps({"holder": owner, "renewed": time.time()}).encode())


def release(folder: SweepFolder) -> None:
    assert folder.lease is not None
    folder.lease.unlink()


@pytest.mark.parametrize("is_released", [False, True])
def test_a_host_that_lost_a_sweep_to_another_leaves_its_folder_alone(
    shared: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_released: bool
) -> None:
    checkpoint = shared.point("0000").checkpoint
    with (
        own_sweep(shared) as is_owner,
        Journal.create(shared.journal, SweepRecord("s", "n", "e", {}, start_ms=5)) as journal,
    ):
        cut_off = SegmentWriter(journal, shared, is_owner)
        journal.start_point(PointRecord("0000", 0, {}, "p", start_ms=6))
        assert cut_off.commit()
        for epoch in range(5):
            journal.record_epoch("0000", epoch, {"valid/mse": 1.0}, 7)
        journal.end_point("0000", PointEnd(PointState.FINISHED), 8)
        checkpoint.write_bytes(b"of the other host")
        lease_to(shared, "there")
        with monkeypatch.context() as there:
            there.setenv("SWEEPS_LOCAL", str(tmp_path / "there"))
            with open_journal(shared) as resumed:
                resumed.record_epoch("0000", 0, {"valid/mse": 2.0}, 9)
                SegmentWriter(resumed, shared).commit()
                expected = resumed.rows(1)
        before = list_segments(shared.segments)
        if is_released:
            release(shared)
        assert not cut_off.commit()
        assert cut_off.is_lost
        cut_off.close()
        assert list_segments(shared.segments) == before
        assert checkpoint.exists()
        assert journal.delivery.committed() == 2
    assert list(read_segments(shared.segments).rows) == expected


def test_a_host_that_was_cut_off_continues_if_no_other_has_taken_over_the_sweep(shared: SweepFolder) -> None:
    with (
        own_sweep(shared) as is_owner,
        Journal.create(shared.journal, SweepRecord("s", "n", "e", {}, start_ms=5)) as journal,
    ):
        run_out(shared)
        assert SegmentWriter(journal, shared, is_owner).commit()
        assert len(read_segments(shared.segments).rows) == 1
        assert shared.lease is not None
        assert json.loads(shared.lease.read_bytes())["renewed"] > 0


def test_catch_up_waits_for_a_full_folder_as_long_as_asked(
    journal: Journal, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_failures = 3
    write = Path.write_bytes

    def full_for_a_while(path: Path, content: bytes) -> int:
        nonlocal n_failures
        n_failures -= 1
        if n_failures >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_for_a_while)
    monkeypatch.setattr(segment_writer, "_CATCH_UP_SECONDS", 0.0)
    writer = SegmentWriter(journal, folder)
    with pytest.raises(FolderBehind, match="free space there"):
        writer.catch_up(0.0, lambda: True)
    writer.catch_up(60.0)
    assert n_failures < 0
    assert list(read_segments(folder.segments).rows) == journal.rows(1)


def test_the_segment_writer_survives_a_journal_that_cannot_be_read_for_a_while(
    journal: Journal, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_writer, "_POLL_SECONDS", 0.01)
    asked: list[int] = []

    def last_id() -> int:
        asked.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    writer = SegmentWriter(journal, folder)
    writer.start()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "last_id", last_id)
        wait_until(lambda: len(asked) > 1)
    monkeypatch.setattr(segment_writer, "SECONDS", 0.0)
    journal.record_epoch("p", 1, {}, 6)
    wait_until(lambda: journal.delivery.committed() == 2)
    writer.close()


def test_a_sweep_starts_with_a_locked_journal_and_logs_its_name(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.0)
    with Journal.create(folder.journal, SweepRecord("s", "n", "e", {}, start_ms=5)) as journal:
        other = sqlite3.connect(folder.journal, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writer = SegmentWriter(journal, folder)
        with caplog.at_level(logging.WARNING):
            assert not writer.commit()
        assert f"{folder.journal} cannot be used (database is locked)" in caplog.text
        other.close()
        assert writer.commit()
        assert journal.delivery.committed() == 1

"""Journals that are lost, damaged or old, and rebuilt from the sweep's folder."""

import json
import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.database import DamagedJournal
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord, PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.journal.restore import open_journal, read_journal
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.journal.segments import list_segments

SWEEP = SweepRecord("s", "quickstart", "e", {"name": "quickstart"}, start_ms=5)


def record_some(journal: Journal, n_points: int = 2) -> None:
    for index in range(n_points):
        point_id = f"{index:04d}"
        journal.start_point(PointRecord(point_id, index, {"model.hidden_size": 4}, "h=4", start_ms=6))
        for epoch in range(1, 4):
            journal.record_epoch(point_id, epoch, {"valid/mse": 1 / epoch}, 7)
        journal.end_point(point_id, PointEnd(PointState.FINISHED), 8)


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """A sweep of two points, all of it committed and half of it delivered."""
    folder = SweepFolder(tmp_path / "s")
    with Journal.create(folder.journal, SWEEP) as journal:
        writer = SegmentWriter(journal, folder)
        record_some(journal)
        writer.commit()
        journal.delivery.deliver_to("http://mlflow")
        journal.delivery.set_experiment_id("7")
        journal.delivery.set_run_id(None, "parent")
        journal.delivery.set_run_id("0000", "first")
        journal.delivery.mark_delivered(range(1, 7))
        writer.close()
    return folder


def content(journal: Journal) -> list[object]:
    with journal:
        return [
            journal.rows(1),
            journal.sweep(),
            journal.points(),
            journal.delivery.store(),
            journal.delivery.n_undelivered(),
        ]


def lose(folder: SweepFolder) -> None:
    for path in folder.path.glob("journal.db*"):
        path.unlink()


def truncate(folder: SweepFolder) -> None:
    content = folder.journal.read_bytes()
    folder.journal.write_bytes(content[: len(content) // 2])


def empty(folder: SweepFolder) -> None:
    folder.journal.write_bytes(b"")


def overwrite(folder: SweepFolder) -> None:
    folder.journal.write_bytes(b"no database at all" * 500)


@pytest.mark.parametrize("spoil", [lose, truncate, empty, overwrite])
def test_a_lost_or_damaged_journal_is_rebuilt_and_that_is_logged(
    folder: SweepFolder, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    expected = content(Journal.open(folder.journal))
    assert callable(spoil)
    spoil(folder)
    assert content(read_journal(folder)) == expected
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        assert content(open_journal(folder)) == expected
    (line,) = caplog.messages
    assert "11 entries from the segments" in line
    assert content(Journal.open(folder.journal)) == expected


def test_an_intact_journal_is_opened_without_a_log_line(folder: SweepFolder, caplog: pytest.LogCaptureFixture) -> None:
    open_journal(folder).close()
    read_journal(folder).close()
    assert not caplog.messages
    assert not list(folder.path.rglob("*.set-aside"))


def test_reading_a_sweep_whose_journal_is_lost_changes_nothing(folder: SweepFolder) -> None:
    lose(folder)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    read_journal(folder).close()
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_only_entries_that_were_not_copied_are_lost_with_the_journal(folder: SweepFolder) -> None:
    with Journal.open(folder.journal) as journal:
        committed = journal.rows(1)
        journal.record_epoch("0001", 4, {"valid/mse": 0.1}, 9)
    lose(folder)
    with open_journal(folder) as journal:
        assert journal.rows(1) == committed


def test_only_entries_that_a_rebuilt_journal_would_have_are_delivered(folder: SweepFolder) -> None:
    with Journal.open(folder.journal) as journal:
        n_ready = len(journal.delivery.undelivered(100))
        journal.record_epoch("0001", 4, {"valid/mse": 0.1}, 9)
        assert len(journal.delivery.undelivered(100)) == n_ready
        assert journal.delivery.n_undelivered() == n_ready + 1
        SegmentWriter(journal, folder).commit()
        assert len(journal.delivery.undelivered(100)) == n_ready + 1


def test_a_journal_that_is_older_than_its_segments_is_rebuilt(folder: SweepFolder) -> None:
    old = folder.path / "old.db"
    shutil.copy(folder.journal, old)
    with Journal.open(folder.journal) as journal:
        journal.end_sweep(SweepState.FINISHED, "", {}, 9)
        SegmentWriter(journal, folder).commit()
    lose(folder)
    old.rename(folder.journal)
    with open_journal(folder) as journal:
        assert journal.sweep().state is SweepState.FINISHED


def test_a_damaged_segment_of_a_good_journal_is_written_again(folder: SweepFolder) -> None:
    (segment,) = list_segments(folder.segments)
    (folder.segments / segment.name).write_bytes(b"cut")
    with open_journal(folder) as journal:
        SegmentWriter(journal, folder).commit()
        expected = journal.rows(1)
    lose(folder)
    with open_journal(folder) as journal:
        assert journal.rows(1) == expected


def test_segments_behind_a_damaged_one_are_never_used_again(
    folder: SweepFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal.open(folder.journal) as journal:
        writer = SegmentWriter(journal, folder)
        for epoch in (4, 5):
            journal.record_epoch("0001", epoch, {"valid/mse": 0.1}, 9)
            writer.commit()
    lose(folder)
    _, second, _ = list_segments(folder.segments)
    (folder.segments / second.name).write_bytes(b"cut")
    with open_journal(folder) as journal:
        assert second.name in caplog.messages[-1]
        assert journal.last_id() == 11
        journal.record_epoch("0001", 4, {"valid/mse": 0.2}, 10)
        SegmentWriter(journal, folder).commit()
    lose(folder)
    with open_journal(folder) as journal:
        assert journal.history("0001")[3:] == [(4, {"valid/mse": 0.2})]


def test_a_journal_is_rebuilt_without_the_delivery_state(folder: SweepFolder) -> None:
    lose(folder)
    folder.delivered.write_bytes(b'{"store": "http')
    with open_journal(folder) as journal:
        assert journal.delivery.store() is None
        assert journal.delivery.n_undelivered() == journal.last_id() == 11


def test_a_folder_without_journal_and_segments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_journal(SweepFolder(tmp_path))


def test_a_damaged_journal_without_segments_is_refused(folder: SweepFolder) -> None:
    shutil.rmtree(folder.segments)
    truncate(folder)
    for opened in (open_journal, read_journal):
        with pytest.raises(DamagedJournal, match="must be the journal of a sweep"):
            opened(folder)


events = st.tuples(st.sampled_from(["start", "epoch", "end", "retry", "figure", "commit", "ship"]), st.integers(0, 3))


@given(happened=st.lists(events, max_size=40))
@settings(max_examples=25, deadline=None)
def test_a_rebuilt_journal_is_the_copied_part_of_the_original(happened: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as name:
        folder = SweepFolder(Path(name))
        with Journal.create(folder.journal, SWEEP) as journal:
            writer = SegmentWriter(journal, folder)
            writer.commit()
            journal.delivery.deliver_to("http://mlflow")
            for kind, number in happened:
                happen(journal, writer, kind, number)
            committed = journal.rows(1, journal.delivery.committed() or 0)
            pending = {entry.entry_id for entry in journal.delivery.undelivered(1000)}
            delivered = {entry_id for entry_id, *_ in committed} - pending
        lose(folder)
        with open_journal(folder) as rebuilt:
            assert rebuilt.rows(1) == committed
            pending = {entry.entry_id for entry in rebuilt.delivery.undelivered(1000)}
            assert {entry_id for entry_id, *_ in committed} - pending <= delivered


def happen(journal: Journal, writer: SegmentWriter, kind: str, number: int) -> None:
    point_id = f"{number:04d}"
    if kind == "start":
        journal.start_point(PointRecord(point_id, number, {}, "p", start_ms=6))
    elif kind == "epoch":
        journal.record_epoch(point_id, journal.last_id(), {"valid/mse": 1 / (number + 1)}, 7)
    elif kind == "end":
        journal.end_point(point_id, PointEnd(PointState.FINISHED), 8)
    elif kind == "retry":
        journal.retry_point(point_id, "lost", 9)
    elif kind == "figure":
        journal.record_figure(point_id, FigureRecord("filters.png", "filters", "a.npz"), 9, number)
    elif kind == "commit":
        writer.commit()
    else:
        journal.delivery.mark_delivered([entry.entry_id for entry in journal.delivery.undelivered(number + 1)])


def test_segments_are_json_by_line(folder: SweepFolder) -> None:
    (segment,) = list_segments(folder.segments)
    lines = [json.loads(line) for line in (folder.segments / segment.name).read_text().splitlines()]
    assert [line["id"] for line in lines] == list(range(1, 12))
    assert lines[2] == {
        "id": 3,
        "kind": "epoch",
        "point": "0000",
        "epoch": 1,
        "time_ms": 7,
        "body": {"metrics": {"valid/mse": 1.0}},
    }

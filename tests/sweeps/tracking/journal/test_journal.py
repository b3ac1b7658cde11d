import math
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.errors import SweepError
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState

SWEEP = SweepRecord(sweep_id="s", name="quickstart", experiment="e", config={"a": [1]}, start_ms=5, tags={"t": "1"})


def point(point_id: str, index: int = 0) -> PointRecord:
    return PointRecord(point_id=point_id, index=index, point={"model.hidden_size": 4}, run_name="h=4", start_ms=6)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "journal.db", SWEEP)


def test_sweep_comes_back_as_it_was_recorded(journal: Journal) -> None:
    assert journal.sweep() == SWEEP


def test_create_refuses_to_overwrite_a_journal(journal: Journal) -> None:
    with pytest.raises(FileExistsError):
        Journal.create(journal.path, SWEEP)


def test_open_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Journal.open(tmp_path / "journal.db")


def test_open_refuses_a_file_that_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("not a database, and long enough to be seen as none " * 50)
    with pytest.raises(SweepError, match="must be the journal of a sweep"):
        Journal.open(path)


def test_open_refuses_a_journal_of_another_version(journal: Journal) -> None:
    journal._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SweepError, match="version 1, not 99"):
        Journal.open(journal.path)


def test_points_come_by_index_whatever_order_they_started_in(journal: Journal) -> None:
    for index in (2, 0, 1):
        journal.start_point(point(f"p{index}", index))
    assert [record.index for record in journal.points()] == [0, 1, 2]


def test_starting_a_point_again_changes_nothing(journal: Journal) -> None:
    assert journal.start_point(point("p"))
    assert not journal.start_point(point("p", index=9))
    assert [record.index for record in journal.points()] == [0]


def test_metrics_that_are_not_finite_are_kept(journal: Journal) -> None:
    journal.record_epoch("p", 1, {"nan": math.nan, "up": math.inf, "down": -math.inf}, 7)
    ((epoch, metrics),) = journal.history("p")
    assert epoch == 1
    assert math.isnan(metrics["nan"])
    assert (metrics["up"], metrics["down"]) == (math.inf, -math.inf)


def test_epoch_recorded_again_keeps_its_first_metrics(journal: Journal) -> None:
    assert journal.record_epoch("p", 3, {"valid/mse": 0.5}, 7)
    assert not journal.record_epoch("p", 3, {"valid/mse": 0.4}, 8)
    assert journal.history("p") == [(3, {"valid/mse": 0.5})]


def test_history_comes_by_epoch(journal: Journal) -> None:
    for epoch in (3, 1, 2):
        journal.record_epoch("p", epoch, {"valid/mse": float(epoch)}, 7)
    assert [epoch for epoch, _ in journal.history("p")] == [1, 2, 3]


def test_ended_point_has_its_state_reason_and_tags(journal: Journal) -> None:
    journal.start_point(point("p"))
    journal.end_point("p", PointEnd(PointState.FAILED, "train/loss is nan", {"why": "nan"}), 9)
    record = journal.point("p")
    assert record is not None
    assert (record.state, record.reason, record.tags, record.end_ms) == (
        PointState.FAILED,
        "train/loss is nan",
        {"why": "nan"},
        9,
    )


def test_retried_point_runs_again(journal: Journal) -> None:
    journal.start_point(point("p"))
    journal.end_point("p", PointEnd(PointState.KILLED, "interrupted"), 9)
    journal.retry_point("p", "its node was lost", 10)
    record = journal.point("p")
    assert record is not None
    assert (record.state, record.reason, record.end_ms, record.n_retries) == (PointState.RUNNING, None, None, 1)


def test_point_that_never_started_is_none(journal: Journal) -> None:
    assert journal.point("p") is None


def test_ended_sweep_has_its_state_description_and_tags(journal: Journal) -> None:
    journal.end_sweep(SweepState.INTERRUPTED, "as far as it came", {"best": "p"}, 11)
    sweep = journal.sweep()
    assert (sweep.state, sweep.description, sweep.end_ms) == (SweepState.INTERRUPTED, "as far as it came", 11)
    assert sweep.tags == {"t": "1", "best": "p"}


def test_resumed_sweep_runs_again_and_may_be_extended(journal: Journal) -> None:
    config = journal.sweep().config
    journal.end_sweep(SweepState.INTERRUPTED, "as far as it came", {}, 11)
    journal.resume_sweep(None, {}, 12)
    sweep = journal.sweep()
    assert (sweep.state, sweep.end_ms, sweep.config) == (SweepState.RUNNING, None, config)
    assert sweep.description == config.get("description", "")
    journal.resume_sweep({"name": "s", "description": "longer"}, {"more": "1"}, 13)
    sweep = journal.sweep()
    assert (sweep.config["description"], sweep.description, sweep.tags["more"]) == ("longer", "longer", "1")


def test_seconds_spent_excludes_the_time_between_runs(journal: Journal) -> None:
    start_ms = journal.sweep().start_ms
    assert journal.seconds_spent() == 0
    journal.start_point(replace(point("p"), start_ms=start_ms + 4_000))  # and then the process was lost
    journal.resume_sweep(None, {}, start_ms + 100_000)
    journal.record_epoch("p", 1, {"m": 1.0}, start_ms + 102_000)
    journal.end_sweep(SweepState.INTERRUPTED, "", {}, start_ms + 103_000)
    assert journal.seconds_spent() == 4 + 3
    assert journal.last_ms() == start_ms + 103_000


def test_seconds_spent_starts_again_when_a_sweep_is_extended(journal: Journal) -> None:
    start_ms = journal.sweep().start_ms
    journal.end_sweep(SweepState.FINISHED, "", {}, start_ms + 50_000)
    journal.resume_sweep({"name": "s"}, {}, start_ms + 100_000)
    assert journal.seconds_spent() == 0
    journal.record_epoch("p", 1, {"m": 1.0}, start_ms + 102_000)
    assert journal.seconds_spent() == 2


def test_threads_record_at_once_without_loss(journal: Journal) -> None:
    def record(thread: int) -> None:
        for epoch in range(50):
            journal.record_epoch(f"p{thread}", epoch, {"valid/mse": float(epoch)}, 7)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(record, range(8)))
    assert [len(journal.history(f"p{thread}")) for thread in range(8)] == [50] * 8


def test_another_process_reads_what_the_writer_has_recorded_so_far(journal: Journal) -> None:
    journal.start_point(point("p"))
    reader = (
        "import sys; from sweeps.tracking.journal.journal import Journal;"
        "print(len(Journal.open(sys.argv[1], read_only=True).points()))"
    )
    command = [sys.executable, "-c", reader, str(journal.path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "1"


def test_reader_sees_what_is_recorded_after_it_has_opened(journal: Journal) -> None:
    with Journal.open(journal.path, read_only=True) as reader:
        assert reader.points() == []
        journal.start_point(point("p"))
        assert len(reader.points()) == 1


def test_killed_process_loses_no_entries(tmp_path: Path) -> None:
    writer = f"""
import os, signal, sys
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
journal = Journal.create(sys.argv[1], SweepRecord("s", "n", "e", {{}}, 0))
for epoch in range(200):
    journal.record_epoch("p", epoch, {{"valid/mse": 0.5}}, 7)
os.kill(os.getpid(), {signal.SIGKILL.value})
"""
    path = tmp_path / "journal.db"
    killed = subprocess.run([sys.executable, "-c", writer, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Journal.open(path) as journal:
        assert len(journal.history("p")) == 200


def test_flush_leaves_the_lock_of_the_writer_alone(journal: Journal) -> None:
    journal.flush()
    journal.start_point(point("p"))
    with Journal.open(journal.path) as other:
        other.delivery.mark_delivered([1])
    journal.flush()
    assert journal.delivery.n_undelivered() == 1


def test_a_point_has_its_diagnosis_once_it_has_ended_and_none_when_it_runs_again(journal: Journal) -> None:
    found = {"name": "dead units", "evidence": {"share": 0.5}, "advice": "Lower training.learning_rate."}
    journal.start_point(point("p"))
    assert journal.points()[0].diagnosis is None
    journal.end_point("p", PointEnd(PointState.FINISHED, diagnosis=[found]), 7)
    assert journal.points()[0].diagnosis == [found]
    journal.retry_point("p", "lost", 8)
    assert journal.points()[0].diagnosis is None
    journal.end_point("p", PointEnd(PointState.FAILED, "raised"), 9)
    assert journal.points()[0].diagnosis is None

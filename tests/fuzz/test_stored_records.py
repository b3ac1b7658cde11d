"""Random and damaged records: whatever a sweep's folder or a cluster answers, only our own errors are raised."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listed_jobs import cluster_with

from sweeps.cli.display.listing import listing_rows
from sweeps.cluster.jobs.submissions import all_submitted
from sweeps.config import SweepConfig
from sweeps.errors import SweepError
from sweeps.storage.layout import SweepFolder
from sweeps.storage.lease import lease_owner
from sweeps.storage.object_store import RemotePath
from sweeps.storage.sweep_lock import own_sweep, owner_of
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import BestEpoch, FigureRecord, PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.journal.segments import list_segments
from sweeps.tracking.mlflow.entry_values import measurements_of, tags_of
from sweeps.tracking.results import read_result
from sweeps.tracking.resume_state import read_resume_state

N_CASES = int(os.environ.get("SWEEPS_FUZZ_CASES", "40"))
# No case may take longer: a hang is a failure.
SECONDS = 5.0
fuzzed = settings(
    max_examples=N_CASES,
    deadline=SECONDS * 1000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53, 2**63, 2**64, -(2**63) - 1, 10**400, -1])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "..", "/etc/passwd", "FINISHED", "RUNNING", "valid/mse", "0000", "\0", "9" * 5000])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
columns = st.sampled_from(["entry_id", "kind", "point_id", "epoch", "time_ms", "body", "delivery", "refusal"])
cells = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20) | st.binary(max_size=20)


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    """The files of a small sweep: its journal and its only segment."""
    with TemporaryDirectory() as name:
        folder = SweepFolder(Path(name))
        document = {"name": "small", "data": {"name": "digits"}, "model": {"name": "shallow", "hidden_size": 8}}
        config = SweepConfig.from_dict(document | {"objective": {"metric": "valid/mse"}})
        with Journal.create(folder.journal, SweepRecord("small", "small", "e", config.to_dict(), 1)) as journal:
            journal.start_point(PointRecord("0000", 0, {}, "0000 h=8", 1))
            journal.record_epoch("0000", 1, {"valid/mse": 0.5}, 2)
            journal.record_figure("0000", FigureRecord("filters/a.png", "filters", "points/0000/a.npz"), 2, 1)
            journal.record_best("0000", BestEpoch(1, {"valid/mse": 0.5}, {"valid/mse": 1}), 3)
            found = [{"name": "dead units", "evidence": {"share": 0.5}, "advice": "Lower it."}]
            journal.end_point("0000", PointEnd(PointState.FINISHED, None, {}, found), 3)
            journal.record_rank("0000", 1, {}, 4)
            journal.resume_sweep(None, {}, 5)
            journal.delivery.deliver_to("http://localhost")
            journal.delivery.set_run_id("0000", "a" * 32)
            SegmentWriter(journal, folder).commit()
        (segment,) = list_segments(folder.segments)
        assert isinstance(folder.segments, Path)
        return {"journal": folder.journal.read_bytes(), "segment": (folder.segments / segment.name).read_bytes()}


def read_all(folder: SweepFolder) -> None:
    """Read what commands read: the result, what a resume needs, and what is delivered."""
    with suppress(SweepError), read_journal(folder) as journal:
        result = read_result(journal, folder)
        listing_rows([result], [], [])
        json.dumps(result.to_dict(top=3))
        result.where_to_look()
        read_resume_state(journal, folder, result.config)
        journal.seconds_spent()
        journal.last_ms()
        for entry in journal.delivery.undelivered(100):
            measurements_of(entry)
            tags_of(entry, str)


def in_folder(check: Callable[[SweepFolder], None]) -> None:
    with TemporaryDirectory() as name:
        check(SweepFolder(Path(name)))


@fuzzed
@given(data=st.data())
def test_a_journal_with_other_values(data: st.DataObject, written: dict[str, bytes]) -> None:
    def check(folder: SweepFolder) -> None:
        folder.journal.write_bytes(written["journal"])
        connection = sqlite3.connect(folder.journal)
        for _ in range(data.draw(st.integers(1, 3))):
            ((n_entries,),) = connection.execute("SELECT count(*) FROM entries").fetchall()
            row, column = data.draw(st.integers(1, max(1, n_entries))), data.draw(columns)
            with suppress(sqlite3.Error), connection:
                statement = f"UPDATE entries SET {column} = ? WHERE entry_id = ?"  # noqa: S608 (a sampled column)
                connection.execute(statement, (data.draw(cells), row))
        connection.close()
        read_all(folder)

    in_folder(check)


@fuzzed
@given(data=st.data())
def test_a_journal_with_other_bodies(data: st.DataObject, written: dict[str, bytes]) -> None:
    def check(folder: SweepFolder) -> None:
        folder.journal.write_bytes(written["journal"])
        connection = sqlite3.connect(folder.journal)
        rows = connection.execute("SELECT entry_id, body FROM entries").fetchall()
        entry_id, text = data.draw(st.sampled_from(rows))
        body = json.loads(text)
        key = data.draw(st.sampled_from(sorted(body)) | st.text(max_size=5))
        body[key] = data.draw(values)
        with suppress(sqlite3.Error), connection:
            connection.execute("UPDATE entries SET body = ? WHERE entry_id = ?", (json.dumps(body), entry_id))
        connection.close()
        read_all(folder)

    in_folder(check)


@fuzzed
@given(data=st.data())
def test_a_journal_with_flipped_bytes(data: st.DataObject, written: dict[str, bytes]) -> None:
    def check(folder: SweepFolder) -> None:
        content = bytearray(written["journal"])
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        folder.journal.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
        read_all(folder)

    in_folder(check)


@fuzzed
@given(data=st.data())
def test_forged_segments(data: st.DataObject, written: dict[str, bytes]) -> None:
    def check(folder: SweepFolder) -> None:
        lines = written["segment"].splitlines()
        which = data.draw(st.integers(0, len(lines) - 1))
        entry = json.loads(lines[which])
        key = data.draw(st.sampled_from(sorted(entry)))
        if data.draw(st.booleans()) and entry["body"]:
            entry["body"][data.draw(st.sampled_from(sorted(entry["body"])))] = data.draw(values)
        else:
            entry[key] = data.draw(values)
        lines[which] = data.draw(st.just(json.dumps(entry).encode()) | st.binary(max_size=30))
        content = b"\n".join(lines) + b"\n"
        assert isinstance(folder.segments, Path)
        folder.segments.mkdir()
        name = f"{1:09d}-{len(lines):09d}-{sha256(content).hexdigest()}.jsonl"
        (folder.segments / name).write_bytes(content)
        delivered = {"store": "s", "experiment_id": None, "through": 1, "runs": {}}
        delivered[data.draw(st.sampled_from(sorted(delivered)))] = data.draw(values)
        folder.delivered.write_bytes(json.dumps(delivered).encode())
        read_all(folder)

    in_folder(check)


@fuzzed
@given(content=st.binary(max_size=200) | values.map(lambda plain: json.dumps(plain).encode()))
def test_locks(content: bytes) -> None:
    def check(folder: SweepFolder) -> None:
        with own_sweep(folder):
            folder.lock.write_bytes(content)
            owner = owner_of(folder)
            assert owner is None or not owner.runs_here or owner.pid > 0

    in_folder(check)


@fuzzed
@given(
    content=st.binary(max_size=200)
    | st.fixed_dictionaries({"holder": values, "renewed": values}).map(lambda plain: json.dumps(plain).encode())
)
def test_leases(content: bytes) -> None:
    file = RemotePath("mock://fuzz/lease")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RemotePath, "read_bytes", lambda _path, _max_bytes=None: content)
        with suppress(SweepError):
            lease_owner(file)


jobs = st.fixed_dictionaries(
    {
        "type": st.just("SUBMISSION") | values,
        "submission_id": st.just("small") | st.text(max_size=300) | values,
        "status": st.sampled_from(["RUNNING", "SUCCEEDED", "STOPPED", "FAILED"]) | values,
        "entrypoint": st.just(""),
        "metadata": st.dictionaries(
            st.sampled_from(["sweeps.sweep", "sweeps.owner", "sweeps.trials"]), st.text(max_size=300) | leaves
        ),
        "start_time": st.none() | st.integers() | values,
        "driver_exit_code": st.none() | st.integers() | values,
    }
)


@fuzzed
@given(answer=st.lists(jobs, max_size=3) | values)
def test_lists_of_jobs(answer: Any) -> None:
    with suppress(SweepError):
        for row in listing_rows([], all_submitted(cluster_with(answer)), []):
            assert len(json.dumps(row)) < 2_000

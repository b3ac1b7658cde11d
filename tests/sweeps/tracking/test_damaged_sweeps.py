"""A sweep with damaged records: one line that says what is damaged and what to do, and no other sweep is hidden."""

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient  # noqa: F401 (imported once: commands import it, which takes seconds)

from sweeps.cli.app import main
from sweeps.config import SweepConfig
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.all_results import load_all
from sweeps.tracking.crash_recovery import recover_lost_sweeps
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import BestEpoch, FigureRecord, PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.journal.segments import list_segments
from sweeps.tracking.mlflow.ui import newest_sweep
from sweeps.tracking.results import load_result


@pytest.fixture
def make_sweep(small_sweep: Callable[..., SweepConfig]) -> Callable[[str], SweepFolder]:
    """Record an interrupted sweep of one ended trial, without segments."""

    def make(name: str) -> SweepFolder:
        folder = layout.create(name)
        record = SweepRecord(folder.id, name, name, small_sweep().to_dict(), 1_000)
        with own_sweep(folder), Journal.create(folder.journal, record) as journal:
            journal.start_point(PointRecord("0000", 0, {}, "0000 h=8", 1_000))
            journal.record_epoch("0000", 1, {"valid/mse": 0.5}, 2_000)
            journal.record_figure("0000", FigureRecord("filters/a.png", "filters", "points/0000/a.npz"), 2_000, 1)
            journal.record_best("0000", BestEpoch(1, {"valid/mse": 0.5}, {"valid/mse": 1}), 3_000)
            found = [{"name": "dead units", "evidence": {"share": 0.5}, "advice": "Lower it."}]
            journal.end_point("0000", PointEnd(PointState.FINISHED, None, {}, found), 3_000)
        return folder

    return make


def edited(statement: str, *values: object) -> Callable[[SweepFolder], None]:
    """Return a change of the journal's file by one SQL statement."""

    def edit(folder: SweepFolder) -> None:
        with sqlite3.connect(folder.journal) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            assert connection.execute(statement, values).rowcount
        connection.close()

    return edit


def body(kind: str, **changes: object) -> Callable[[SweepFolder], None]:
    """Return a change of values in the body of an entry."""

    def edit(folder: SweepFolder) -> None:
        with sqlite3.connect(folder.journal) as connection:
            ((text,),) = connection.execute("SELECT body FROM entries WHERE kind = ?", (kind,)).fetchall()
            changed = json.dumps({**json.loads(text), **changes})
            connection.execute("UPDATE entries SET body = ? WHERE kind = ?", (changed, kind))
        connection.close()

    return edit


def a_fifo(folder: SweepFolder) -> None:
    folder.journal.unlink()
    os.mkfifo(folder.journal)


def a_folder(folder: SweepFolder) -> None:
    folder.journal.unlink()
    folder.journal.mkdir()


def half(folder: SweepFolder) -> None:
    content = folder.journal.read_bytes()
    folder.journal.write_bytes(content[: len(content) // 2])


EPOCH = "UPDATE entries SET {} = ? WHERE kind = 'epoch'"
DAMAGES: dict[str, Callable[[SweepFolder], None]] = {
    "garbage": lambda folder: folder.journal.write_bytes(os.urandom(20_000)),
    "empty": lambda folder: folder.journal.write_bytes(b""),
    "half": half,
    "fifo": a_fifo,
    "folder": a_folder,
    "no entries": edited("DELETE FROM entries"),
    "no start": edited("DELETE FROM entries WHERE kind = 'sweep_start'"),
    "no table": edited("DELETE FROM sqlite_master WHERE name = 'runs'"),
    "future version": lambda folder: edited_version(folder, 2),
    "no JSON": edited(EPOCH.format("body"), "{"),
    "deep JSON": edited(EPOCH.format("body"), "[" * 200_000),
    "huge number": edited(EPOCH.format("body"), '{"metrics": {"valid/mse": ' + "9" * 6_000 + "}}"),
    "huge body": edited(EPOCH.format("body"), '{"metrics": {}, "a": "' + "x" * 17_000_000 + '"}'),
    "NUL": edited(EPOCH.format("body"), "\0"),
    "blob": edited(EPOCH.format("body"), b"\xff\xfe"),
    "no UTF-8": edited("UPDATE entries SET body = CAST(x'ff7b' AS TEXT) WHERE kind = 'epoch'"),
    "unknown kind": edited(EPOCH.format("kind"), "new in version 9"),
    "epoch is text": edited(EPOCH.format("epoch"), "first"),
    "epoch is negative": edited(EPOCH.format("epoch"), -1),
    "no epoch": edited(EPOCH.format("epoch"), None),
    "time is text": edited(EPOCH.format("time_ms"), "now"),
    "time has no date": edited(EPOCH.format("time_ms"), 2**62),
    "point is a path": edited("UPDATE entries SET point_id = '../0000' WHERE kind = 'point_end'"),
    "no point": edited("UPDATE entries SET point_id = NULL WHERE kind = 'point_start'"),
    "another point": body("point_start", point_id="0001"),
    "metrics are a list": body("epoch", metrics=[1]),
    "a metric is text": body("epoch", metrics={"valid/mse": "low"}),
    "config is a list": body("sweep_start", config=[1]),
    "config is no config": body("sweep_start", config={"name": "small", "model": {"name": "none"}}),
    "unknown field": body("sweep_start", colour="red"),
    "sweep id is a path": body("sweep_start", sweep_id="../../etc"),
    "start has no date": body("sweep_start", start_ms=10**18),
    "index is text": body("point_start", index="first"),
    "unknown state": body("point_end", state="RUNNING"),
    "finding without a name": body("point_end", diagnosis=[{"evidence": {}, "advice": ""}]),
    "finding of unknown severity": body(
        "point_end", diagnosis=[{"name": "", "evidence": {}, "advice": "", "severity": "?"}]
    ),
    "store is a number": edited("INSERT INTO store VALUES (x'00', NULL)"),
}


def edited_version(folder: SweepFolder, version: int) -> None:
    with sqlite3.connect(folder.journal) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def run(*arguments: str) -> tuple[int, list[str]]:
    """Run the command line in this process; return its exit status and what it printed on standard error."""
    before = sys.argv
    sys.argv = ["sweeps", *arguments]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0), []
    finally:
        sys.argv = before
    return 0, []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_sweep_is_named_and_hides_no_other(
    damage: str, make_sweep: Callable[[str], SweepFolder], capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_sweep("good"), make_sweep("bad")
    DAMAGES[damage](bad)
    results, unreadable = load_all()
    assert [result.sweep for result in results] == [good.id]
    assert [sweep.sweep for sweep in unreadable] == [bad.id]
    assert len(str(unreadable[0])) < 1_000
    assert newest_sweep() is None
    recover_lost_sweeps("sqlite:////nowhere/mlflow.db")
    capfd.readouterr()
    for command in ("status", "best", "diagnose", "resume"):
        status, _ = run(command, bad.id)
        printed = capfd.readouterr().err.splitlines()
        assert status in (1, 2), (command, printed)
        assert len(printed) == 1, (command, printed)
        assert printed[0].startswith("sweeps: ")
    assert run("delete", bad.id)[0] in (1, 2)
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert run("delete", bad.id, "--force")[0] == 0
    assert not bad.path.exists()


def test_list_marks_a_damaged_sweep(
    make_sweep: Callable[[str], SweepFolder], capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = make_sweep("good"), make_sweep("bad")
    half(bad)
    assert run("list", "--json")[0] == 0
    plain: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert [sweep["sweep"] for sweep in plain["sweeps"]] == [good.id]
    assert [sweep["sweep"] for sweep in plain["unreadable"]] == [bad.id]
    assert bad.id in plain["errors"][0]
    assert run("list", "--csv")[0] == 0
    assert f"{bad.id},here,UNREADABLE," in capfd.readouterr().out
    assert run("list")[0] == 0
    shown = capfd.readouterr()
    assert "UNREADABLE" in shown.out
    assert f"{bad.id} cannot be read: " in shown.err


def forge(folder: SweepFolder, lines: list[bytes], n_entries: int) -> None:
    """Replace the segments by one with these lines, its name and checksum as they should be; remove the journal."""
    for segment in list_segments(folder.segments):
        (folder.segments / segment.name).unlink()
    content = b"".join(line + b"\n" for line in lines)
    digest = sha256(content).hexdigest()
    assert isinstance(folder.segments, Path)
    (folder.segments / f"{1:09d}-{n_entries:09d}-{digest}.jsonl").write_bytes(content)
    folder.journal.unlink()


LINE = b'{"id": 1, "kind": "sweep_start", "point": null, "epoch": null, "time_ms": 1, "body": {}}'


@pytest.mark.parametrize(
    ("lines", "n_entries"),
    [
        ([b"{"], 1),
        ([b"\xff\0"], 1),
        ([b"[" * 300_000], 1),
        ([b"5"], 1),
        ([LINE], 1),
        ([LINE, LINE], 2),
        ([LINE.replace(b"sweep_start", b"epoch")], 1),
        ([LINE.replace(b'"time_ms": 1', b'"time_ms": -1')], 1),
        ([LINE.replace(b'"epoch": null', b'"epoch": "x"')], 1),
        ([LINE.replace(b"{}", b"9" * 6_000)], 1),
    ],
)
def test_forged_segments_make_one_sweep_unreadable(
    lines: list[bytes], n_entries: int, make_sweep: Callable[[str], SweepFolder]
) -> None:
    good, bad = make_sweep("good"), make_sweep("bad")
    with Journal.open(bad.journal) as journal:
        SegmentWriter(journal, bad).commit()
    forge(bad, lines, n_entries)
    results, unreadable = load_all()
    assert ([result.sweep for result in results], [sweep.sweep for sweep in unreadable]) == ([good.id], [bad.id])
    assert run("resume", bad.id)[0] == 1


def test_two_starts_of_a_trial_in_segments_make_one_sweep_unreadable(
    make_sweep: Callable[[str], SweepFolder],
) -> None:
    folder = make_sweep("bad")
    with Journal.open(folder.journal) as journal:
        SegmentWriter(journal, folder).commit()
    (segment,) = list_segments(folder.segments)
    lines = (folder.segments / segment.name).read_bytes().splitlines()
    lines.append(lines[1].replace(b'"id": 2', b'"id": %d' % (len(lines) + 1)))
    forge(folder, lines, len(lines))
    assert [sweep.sweep for sweep in load_all()[1]] == [folder.id]
    assert run("resume", folder.id)[0] == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_special_files_in_place_of_segments_are_not_opened(
    kind: str, make_sweep: Callable[[str], SweepFolder], tmp_path: Path
) -> None:
    folder = make_sweep("mine")
    with Journal.open(folder.journal) as journal:
        SegmentWriter(journal, folder).commit()
    (segment,) = list_segments(folder.segments)
    assert isinstance(folder.segments, Path)
    path = folder.segments / segment.name
    shutil.move(path, tmp_path / "segment")
    os.mkfifo(path) if kind == "fifo" else path.symlink_to(tmp_path / "segment")
    os.mkfifo(folder.delivered)
    assert load_result(folder).sweep == folder.id  # from the journal
    folder.journal.unlink()
    assert [sweep.sweep for sweep in load_all()[1]] == [folder.id]


def test_a_sweep_of_another_user_is_listed_as_unreadable(
    make_sweep: Callable[[str], SweepFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything: let the system refuse what it refuses others."""
    good, other = make_sweep("good"), make_sweep("other")
    really = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if isinstance(path, str | os.PathLike) and str(path).startswith(f"{other.path}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    results, unreadable = load_all()
    assert [result.sweep for result in results] == [good.id]
    assert [sweep.sweep for sweep in unreadable] == [other.id]
    assert "Permission denied" in unreadable[0].reason
    recover_lost_sweeps("sqlite:////nowhere/mlflow.db")

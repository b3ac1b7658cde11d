"""`sweeps status --watch`: a sweep that another process runs, followed until its end."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.cli.commands import inspect, locate
from sweeps.cli.display import watching
from sweeps.config import SweepConfig
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.mlflow.run_lookup import TrackedSweep

SWEEP = "small-20260101-000000-abcd"
START = 1_700_000_000_000


@pytest.fixture
def running(
    own_home: Path, small_sweep: Callable[..., SweepConfig], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Journal]:
    """The journal of a sweep that runs, as its lock says."""
    folder = SweepFolder(own_home / "sweeps" / SWEEP)
    monkeypatch.setattr(watching, "is_owned", lambda _: True)
    monkeypatch.setattr("sweeps.tracking.results.is_owned", lambda _: True)
    monkeypatch.setattr(watching, "SECONDS_BETWEEN_LOOKS", 0.02)
    with Journal.create(
        folder.journal, SweepRecord(SWEEP, "small", "small", small_sweep().to_dict(), START)
    ) as journal:
        yield journal


def run_a_trial(journal: Journal, done: threading.Event) -> None:
    journal.start_point(PointRecord("0000", 0, {"model.hidden_size": 8}, "0000 h=8", START))
    for epoch in (1, 2):
        time.sleep(0.1)
        journal.record_epoch("0000", epoch, {"valid/mse": 1 / epoch}, START + epoch)
    journal.start_point(PointRecord("0001", 1, {"model.hidden_size": 16}, "0001 h=16", START))
    journal.end_point("0001", PointEnd(PointState.FAILED, "diverged"), START)
    journal.end_point("0000", PointEnd(PointState.FINISHED), START)
    time.sleep(0.1)
    journal.end_sweep(SweepState.FAILED, "", {}, START + 9)
    done.set()


def test_without_a_terminal_each_change_is_a_line_until_the_end(running: Journal) -> None:
    done = threading.Event()
    thread = threading.Thread(target=run_a_trial, args=(running, done))
    thread.start()
    watched = CliRunner().invoke(app, ["status", SWEEP, "--watch"])
    assert done.is_set()
    thread.join()
    assert watched.exit_code == 0
    lines = watched.stdout.splitlines()
    progress = [line for line in lines if "trials ended" in line and SWEEP not in line]
    assert len(progress) == len(set(progress)) >= 3
    assert "best valid/mse 0.5 (trial 0000, epoch 2)" in progress[-1]
    assert any(line.startswith("trial 0001 (h=16) failed: diverged") for line in lines)
    assert any(line.startswith(f"{SWEEP} FAILED") for line in lines)


def test_ctrl_c_ends_the_watch_and_leaves_the_sweep(running: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", interrupt)
    before = running.last_id()
    watched = CliRunner().invoke(app, ["status", SWEEP, "--watch"])
    assert watched.exit_code == 0
    assert "the sweep is not affected" in watched.stderr
    assert (running.last_id(), running.sweep().state) == (before, SweepState.RUNNING)


@pytest.mark.usefixtures("running")
def test_a_lost_sweep_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "is_owned", lambda _: False)
    monkeypatch.setattr("sweeps.tracking.results.is_owned", lambda _: False)
    watched = CliRunner().invoke(app, ["status", SWEEP, "--watch"])
    assert watched.exit_code == 0
    assert f"{SWEEP} INTERRUPTED" in watched.stdout


@pytest.mark.usefixtures("running")
def test_json_is_not_watched() -> None:
    watched = CliRunner().invoke(app, ["status", SWEEP, "--watch", "--json"])
    assert "--json and --watch must not be given together" in str(watched.exception)


def test_a_sweep_elsewhere_is_printed_whenever_it_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tracked(state: str, n_finished: int) -> TrackedSweep:
        return TrackedSweep(SWEEP, state, "me", START, "", {"FINISHED": n_finished})

    answers: list[tuple[None, TrackedSweep | None, list[str]]] = [
        (None, tracked("RUNNING", 1), []),
        (None, tracked("RUNNING", 1), []),
        (None, None, ["MLflow does not answer"]),
        (None, None, ["MLflow does not answer"]),
        (None, tracked("RUNNING", 2), []),
        (None, tracked("FINISHED", 4), []),
    ]
    monkeypatch.setattr(locate, "_look_elsewhere", lambda *_, **__: answers.pop(0))
    monkeypatch.setattr(locate, "SECONDS_BETWEEN_LOOKS_ELSEWHERE", 0)
    inspect._watch(locate.Elsewhere(SWEEP, None))
    shown = capsys.readouterr()
    assert [line.rpartition(": ")[2] for line in shown.out.splitlines() if "in MLflow" in line] == [
        "1 finished",
        "2 finished",
        "4 finished",
    ]
    assert shown.err.splitlines() == ["sweeps: MLflow does not answer"]
    assert answers == []

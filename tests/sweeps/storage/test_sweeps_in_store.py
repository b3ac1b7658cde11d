"""A sweep whose folder is in an object store, here in memory: trained, read, resumed and deleted."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import torch

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.errors import InputError, StorageError, SweepLocked, UnknownSweep
from sweeps.evaluation import evaluate
from sweeps.storage import layout, object_store
from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import RemotePath
from sweeps.tracking.all_results import load_all
from sweeps.tracking.crash_recovery import deliver_sweep
from sweeps.tracking.deletion import delete_sweep
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.restore import open_journal
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.mlflow.figures import draw
from sweeps.tracking.results import SweepResult, load_result
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset
from sweeps.trial.events import Event, PointEnded
from sweeps.trial.pack import train_points

RunHere = Callable[[SweepConfig], SweepResult]


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWEEPS_HOME", f"memory://{token_hex(4)}/home")
    monkeypatch.setenv("SWEEPS_LOCAL", str(tmp_path / "local"))


@pytest.fixture
def sweep(run_here: RunHere, small_sweep: Callable[..., SweepConfig]) -> SweepFolder:
    """A finished sweep of one point, committed."""
    layout.check_home()
    result = run_here(small_sweep())
    folder = layout.find(result.sweep)
    with Journal.open(folder.journal) as journal:
        SegmentWriter(journal, folder).commit()
    return folder


def files(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_only_the_journal_is_on_the_disk(sweep: SweepFolder, tmp_path: Path) -> None:
    local = {Path(name).name.split("-")[0] for name in files(tmp_path / "local" / "journals")}
    assert local == {"journal.db"}
    point = sweep.point("0000")
    assert isinstance(point.path, RemotePath)
    for file in (point.best_network, point.snapshot(2), point.best_arrays, point.end):
        assert file.exists()
    assert not point.checkpoint.exists()  # its end is committed


def test_its_journal_alone_is_not_a_sweep_on_this_disk(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert layout.all_folders() == [sweep]
    monkeypatch.delenv("SWEEPS_LOCAL")
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "local"))  # as in a shell that does not set the store
    assert layout.all_folders() == []


def test_a_host_without_the_journal_ranks_evaluates_and_draws_it(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = load_result(sweep)
    expected = evaluate(before)
    monkeypatch.setenv("SWEEPS_LOCAL", str(tmp_path / "elsewhere"))
    ((result,), issues) = load_all()
    assert not issues
    assert not caplog.messages
    assert result.best == before.best
    assert evaluate(result) == expected
    assert draw("filters", sweep.point("0000").snapshot(1), [], {}).startswith(b"\x89PNG")
    assert not (tmp_path / "elsewhere" / "journals" / sweep.id).exists()


def commit_elsewhere(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have another host record an epoch, the best by far, in the sweep's folder."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("SWEEPS_LOCAL", str(tmp_path / "elsewhere"))
        with open_journal(sweep) as journal:
            journal.record_epoch("0000", 9, {"valid/mse": 0.0}, 1)
            SegmentWriter(journal, sweep).commit()


def test_a_journal_that_is_older_than_the_segments_is_not_used(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit_elsewhere(sweep, monkeypatch, tmp_path)
    best = load_result(sweep).best
    assert best is not None
    assert best.epoch == 9


def test_a_journal_that_diverged_from_the_segments_is_not_used(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Journal.open(sweep.journal) as journal:
        journal.record_epoch("0000", 9, {"valid/mse": 7.0}, 1)
        journal.record_epoch("0000", 10, {"valid/mse": 7.0}, 1)
    commit_elsewhere(sweep, monkeypatch, tmp_path)
    best = load_result(sweep).best
    assert best is not None
    assert best.epoch == 9


def test_a_journal_that_is_newer_than_the_segments_is_used(sweep: SweepFolder) -> None:
    with Journal.open(sweep.journal) as journal:
        journal.record_epoch("0000", 9, {"valid/mse": 0.0}, 1)
    best = load_result(sweep).best
    assert best is not None
    assert best.epoch == 9


class CutOffError(BaseException):
    """Stands for a killed process."""


def test_a_point_resumes_from_its_checkpoint_in_the_store(
    small_sweep: Callable[..., SweepConfig], digits: Dataset
) -> None:
    folder = layout.create("small")
    context = TrialContext(small_sweep(), DataArrays.from_dict(digits.arrays), digits.references, folder)
    reported: list[int | None] = []

    def report(epoch: int | None, *_: Any) -> None:
        reported.append(epoch)
        if reported == [0, 1, 2]:
            raise CutOffError

    torch.set_num_threads(1)
    with pytest.raises(CutOffError):
        train_points({"0000": {}}, context, report)
    train_points({"0000": {}}, context, report)
    assert reported == [0, 1, 2, 2, 3]


def test_a_point_waits_longer_than_a_reader_for_a_store_that_does_not_answer(
    small_sweep: Callable[..., SweepConfig], digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = layout.create("small")
    context = TrialContext(small_sweep(), DataArrays.from_dict(digits.arrays), digits.references, folder)
    once, failures, reported = RemotePath._once, iter(range(3)), list[Event]()

    def away_for_a_while(path: RemotePath, do: Any) -> Any:
        if next(failures, None) is not None:
            raise StorageError("no answer", passes=True)
        return once(path, do)

    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(object_store, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(RemotePath, "_once", away_for_a_while)
    torch.set_num_threads(1)
    train_points({"0000": {}}, context, lambda _epoch, _objectives, events: reported.extend(events))
    assert next(failures, None) is None
    assert isinstance(reported[-1], PointEnded)
    assert not reported[-1].failed


def test_a_sweep_that_another_host_runs_is_delivered_by_that_host_only(sweep: SweepFolder) -> None:
    assert sweep.lease is not None
    lease = {"holder": {"host": "there", "pid": 2, "started": 2}, "renewed": time.time()}
    sweep.lease.write_bytes(json.dumps(lease).encode())
    with pytest.raises(SweepLocked, match="process 2 on there"):
        deliver_sweep(sweep, "http://127.0.0.1:1", 0.0)


def test_it_is_deleted_from_the_store_and_the_disk(sweep: SweepFolder, tmp_path: Path) -> None:
    delete_sweep(sweep, force=True)
    assert not sweep.path.exists()
    assert not (tmp_path / "local" / "journals" / sweep.id).exists()
    with pytest.raises(UnknownSweep):
        layout.find(sweep.id)


def test_a_store_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPS_HOME", "gopher://nowhere/home")
    with pytest.raises(InputError, match="SWEEPS_HOME must name a store that can be written"):
        layout.check_home()


def test_a_store_that_does_not_answer_at_the_start_may_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise StorageError("no answer", passes=True)

    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(RemotePath, "_once", away)
    with pytest.raises(StorageError, match="SWEEPS_HOME must name a store that can be written") as refusal:
        layout.check_home()
    assert refusal.value.passes

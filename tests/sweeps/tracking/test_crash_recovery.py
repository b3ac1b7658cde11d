"""Sweeps whose process was lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from polling import wait_until

from sweeps.config import SweepConfig
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.crash_recovery import end_lost_sweep, open_for_delivery, recover_lost_sweeps
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.results import load_result


@pytest.fixture
def sweep_folder(small_sweep: Callable[..., SweepConfig]) -> SweepFolder:
    """A sweep that runs: one point has finished, one has not."""
    config = small_sweep(search={"model.hidden_size": {"choice": [8, 16]}}, budget={"trials": 3})
    folder = layout.create("small")
    record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), start_ms=1_000)
    with Journal.create(folder.journal, record) as journal:
        for index in range(2):
            journal.start_point(PointRecord(f"000{index}", index, {"model.hidden_size": 8}, "h=8", start_ms=2_000))
            journal.record_epoch(f"000{index}", 1, {"valid/mse": 0.5}, 3_000 + index)
        journal.end_point("0000", PointEnd(PointState.FINISHED), 4_000)
    return folder


def states(folder: SweepFolder) -> tuple[SweepState, list[PointState]]:
    with Journal.open(folder.journal, read_only=True) as journal:
        return journal.sweep().state, [point.state for point in journal.points()]


def test_a_running_sweep_without_a_process_is_shown_as_interrupted(sweep_folder: SweepFolder) -> None:
    with own_sweep(sweep_folder):
        assert load_result(sweep_folder).record.state is SweepState.RUNNING
    result = load_result(sweep_folder)
    assert result.record.state is SweepState.INTERRUPTED
    assert (result.n_ended, result.count(PointState.KILLED)) == (1, 1)


def test_a_lost_sweep_is_ended_at_the_time_of_its_last_entry(sweep_folder: SweepFolder) -> None:
    with Journal.open(sweep_folder.journal) as journal:
        assert end_lost_sweep(journal, sweep_folder)
        assert journal.sweep().end_ms == journal.points()[1].end_ms == 4_000
        assert journal.points()[1].reason == "the process that ran the sweep was lost"
        assert not end_lost_sweep(journal, sweep_folder)
    assert states(sweep_folder) == (SweepState.INTERRUPTED, [PointState.FINISHED, PointState.KILLED])


def test_a_sweep_that_a_process_runs_is_left_alone(sweep_folder: SweepFolder) -> None:
    with own_sweep(sweep_folder):
        with open_for_delivery(sweep_folder) as journal:
            assert journal.sweep().state is SweepState.RUNNING
        assert states(sweep_folder)[0] is SweepState.RUNNING
    with open_for_delivery(sweep_folder) as journal:
        assert journal.sweep().state is SweepState.INTERRUPTED
    assert states(sweep_folder)[0] is SweepState.INTERRUPTED


@pytest.mark.slow
def test_the_runs_of_a_lost_sweep_are_ended_when_another_starts(sweep_folder: SweepFolder, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with Journal.open(sweep_folder.journal) as journal:
        store = MlflowStore(uri, "small", sweep_folder.id)
        journal.delivery.deliver_to(uri)
        parent = store.create_run("small", 1_000, {"sweeps.sweep": sweep_folder.id})
        ghost = store.create_run("h=8", 1_000, {"sweeps.sweep": sweep_folder.id, "sweeps.trial": "0001"})
    client = MlflowClient(uri)
    assert [client.get_run(run).info.status for run in (parent, ghost)] == ["RUNNING", "RUNNING"]
    recover_lost_sweeps(uri)
    wait_until(lambda: [client.get_run(run).info.status for run in (parent, ghost)] == ["KILLED", "KILLED"])

"""Deletion of sweeps."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.errors import SweepLocked, TrackingError, UndeliveredError
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.deletion import delete_sweep
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
from sweeps.tracking.mlflow.shipper import sync

pytestmark = pytest.mark.slow


@pytest.fixture
def sweep() -> SweepFolder:
    folder = layout.create("small")
    folder.point("0000").path.mkdir(parents=True)
    folder.point("0000").best_network.write_bytes(b"a network")
    Journal.create(folder.journal, SweepRecord(folder.id, "small", "small", {"name": "small"}, start_ms=1_000)).close()
    return folder


def deliver(folder: SweepFolder, uri: str) -> None:
    with Journal.open(folder.journal) as journal:
        assert sync(journal, uri, folder.path, 60).error is None


def test_delete_removes_the_folder_and_if_asked_the_runs(
    sweep: SweepFolder, tmp_path: Path, find_runs: Callable[[str], list[str]]
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    deliver(sweep, uri)
    assert find_runs(uri) == ["active"]
    assert delete_sweep(sweep, runs=True) == 1
    assert not sweep.path.exists()
    assert find_runs(uri) == ["deleted"]


def test_delete_of_a_submitted_sweep_without_a_folder_deletes_no_other(sweep: SweepFolder) -> None:
    absent = sweep.id.removesuffix(sweep.id[-4:])
    done = CliRunner().invoke(app, ["delete", absent, "--missing-ok", "--force", "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"sweep": absent, "runs_deleted": 0})
    assert sweep.journal.exists()
    done = CliRunner().invoke(app, ["delete", sweep.id, "--missing-ok", "--force", "--json"])
    assert json.loads(done.stdout)["sweep"] == sweep.id
    assert not sweep.path.exists()


def test_undelivered_records_are_deleted_by_force_only(sweep: SweepFolder) -> None:
    with pytest.raises(UndeliveredError, match=f"sweeps sync {sweep.id}"):
        delete_sweep(sweep)
    assert sweep.point("0000").best_network.exists()
    assert delete_sweep(sweep, force=True) == 0
    assert not sweep.path.exists()


def test_a_running_sweep_is_not_deleted(sweep: SweepFolder) -> None:
    with own_sweep(sweep), pytest.raises(SweepLocked):
        delete_sweep(sweep, force=True)
    assert sweep.journal.exists()


def test_a_sweep_whose_runs_cannot_be_deleted_is_kept(sweep: SweepFolder) -> None:
    with Journal.open(sweep.journal) as journal:
        journal.delivery.deliver_to("http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="does not answer"):
        delete_sweep(sweep, runs=True)
    assert sweep.point("0000").best_network.exists()


@pytest.fixture
def find_runs() -> Callable[[str], list[str]]:
    """Whether the runs of the experiment are active or deleted."""

    def find(uri: str) -> list[str]:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name("small")
        found = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
        return [run.info.lifecycle_stage for run in found]

    return find

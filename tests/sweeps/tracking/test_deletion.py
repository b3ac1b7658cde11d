"""Deletion of sweeps."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.errors import InputError, StorageError, SweepLocked, TrackingError, UndeliveredError
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.deletion import delete_sweep
from sweeps.tracking.journal.database import DamagedJournal
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
from sweeps.tracking.journal.restore import open_journal
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


def test_a_linked_sweep_folder_is_not_emptied(sweep: SweepFolder, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "journal").mkdir(parents=True)
    (precious / "thesis.tex").touch()
    planted = SweepFolder(sweep.path.with_name("planted-20260101-000000-abcd"))
    planted.path.symlink_to(precious)
    for force in (False, True):
        done = CliRunner().invoke(app, ["delete", planted.id, *(["--force"] if force else [])])
        assert isinstance(done.exception, StorageError)
        assert "is a link" in str(done.exception)
    assert sorted(path.name for path in precious.iterdir()) == ["journal", "thesis.tex"]


def test_links_inside_a_sweep_folder_are_removed_not_followed(sweep: SweepFolder, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "last.ckpt").touch()
    (sweep.path / "points" / "0001").symlink_to(precious)
    with pytest.raises(StorageError, match="0001 must not be a link"), open_journal(sweep):
        pass
    with pytest.raises(StorageError, match="0001 must not be a link"):
        delete_sweep(sweep)
    delete_sweep(sweep, force=True)
    assert not sweep.path.exists()
    assert (precious / "last.ckpt").exists()


def test_a_linked_home_is_used(sweep: SweepFolder, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = own_home.with_name(f"{own_home.name}-linked")
    linked.symlink_to(own_home)
    monkeypatch.setenv("SWEEPS_HOME", str(linked))
    delete_sweep(layout.find(sweep.id), force=True)
    assert not sweep.path.exists()


def test_a_damaged_sweep_is_deleted_by_force_only(sweep: SweepFolder) -> None:
    sweep.journal.write_bytes(b"no journal")
    with pytest.raises(DamagedJournal, match=f"sweeps delete {sweep.id} --force"):
        delete_sweep(sweep)
    with pytest.raises(DamagedJournal):
        delete_sweep(sweep, force=True, runs=True)
    assert delete_sweep(sweep, force=True) == 0
    assert not sweep.path.exists()


def test_a_copied_folder_does_not_delete_the_runs_of_the_original(sweep: SweepFolder) -> None:
    copy = SweepFolder(sweep.path.with_name("copy"))
    shutil.copytree(sweep.path, copy.path)
    with pytest.raises(InputError, match="has that of another sweep"):
        delete_sweep(copy, runs=True)
    assert copy.path.exists()

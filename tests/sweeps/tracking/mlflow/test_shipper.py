"""Delivery to a real MLflow server: what arrives, once, whatever happens on the way."""

import math
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from polling import wait_until

from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.delivery_state import DeliveryState
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord, PointEnd, PointRecord, PointState, SweepState
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.mlflow.shipper import Shipper, ShipperStatus, sync

pytestmark = pytest.mark.slow

DELIVERED = ShipperStatus(n_undelivered=0, n_refused=0, error=None)
LARGEST = sys.float_info.max

# conftest.MlflowServer and what its other fixtures give; a test module cannot import a conftest.
MlflowServer = Any
WriteJournal = Callable[..., Journal]
WritePoint = Callable[..., None]


@pytest.fixture
def nobody() -> str:
    """The address of a port on which nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{closed.getsockname()[1]}"


def rows(store: Path, query: str, *values: object) -> list[Any]:
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        return connection.execute(query, values).fetchall()


def stored_metrics(store: Path, sweep_id: str) -> Counter[tuple[str, str, int, float, int]]:
    """Every metric that the store has of a sweep, as often as it has it."""
    query = """
        SELECT point.value, metrics.key, metrics.step, metrics.value, metrics.timestamp FROM metrics
        JOIN tags AS sweep ON sweep.run_uuid = metrics.run_uuid AND sweep.key = 'sweeps.sweep' AND sweep.value = ?
        JOIN tags AS point ON point.run_uuid = metrics.run_uuid AND point.key = 'sweeps.trial'
    """
    return Counter(tuple(row) for row in rows(store, query, sweep_id))


def recorded_metrics(journal: Journal) -> Counter[tuple[str, str, int, float, int]]:
    query = (
        "SELECT point_id, epoch, time_ms, key, value FROM entries, json_each(body, '$.metrics') WHERE kind = 'epoch'"
    )
    found = rows(journal.path, query)
    return Counter((point_id, key, epoch, value, time_ms) for point_id, epoch, time_ms, key, value in found)


def runs(store: Path, sweep_id: str) -> dict[str | None, dict[str, Any]]:
    """The runs of a sweep by point, the parent under None; fails if two runs belong to one point."""
    found: dict[str | None, dict[str, Any]] = {}
    query = "SELECT run_uuid FROM tags WHERE key = 'sweeps.sweep' AND value = ?"
    for (run_id,) in rows(store, query, sweep_id):
        tags = dict(rows(store, "SELECT key, value FROM tags WHERE run_uuid = ?", run_id))
        ((name, status, end_ms),) = rows(store, "SELECT name, status, end_time FROM runs WHERE run_uuid = ?", run_id)
        params = dict(rows(store, "SELECT key, value FROM params WHERE run_uuid = ?", run_id))
        point_id = tags.get("sweeps.trial")
        assert point_id not in found
        found[point_id] = {"id": run_id, "name": name, "status": status, "end": end_ms, "tags": tags, "params": params}
    return found


def test_sweep_arrives_as_a_parent_run_with_a_child_a_point(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("tree")
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    found = runs(server.store, "tree")
    parent = found[None]
    assert set(found) == {None, "p0", "p1", "p2"}
    assert (parent["name"], parent["status"], parent["end"]) == ("tree", "FINISHED", 1_700_000_900_000)
    assert parent["params"] == {"budget.trials": "3"}
    child = found["p1"]
    assert (child["name"], child["status"], child["end"]) == ("h=1", "FINISHED", 1_700_000_004_001)
    assert child["params"] == {"model.hidden_size": "1", "model.name": "shallow"}
    assert child["tags"]["mlflow.parentRunId"] == parent["id"]
    assert child["tags"]["sweeps.seed"] == "7"
    assert stored_metrics(server.store, "tree") == recorded_metrics(journal)


def test_description_links_to_the_runs_that_there_are(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("links")
    sync(journal, server.uri, journal.path.parent, 60)
    found = runs(server.store, "links")
    link = f"#/experiments/{journal.sweep().experiment_id}/runs/{found['p0']['id']}?workflowType=machine_learning"
    assert found[None]["tags"]["mlflow.note.content"] == f"Best: [h=0]({link}), then lost"


def test_data_set_is_an_input_of_every_run(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("data")
    sync(journal, server.uri, journal.path.parent, 60)
    query = """
        SELECT destination_id, name FROM inputs JOIN datasets ON source_id = dataset_uuid
        WHERE experiment_id = ? AND destination_type = 'RUN'
    """
    expected = {(run["id"], "digits") for run in runs(server.store, "data").values()}
    assert set(rows(server.store, query, journal.sweep().experiment_id)) == expected


def test_diagnosis_arrives_as_a_tag_and_a_text(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("diagnosis", n_points=1, ended=False)
    found = {"name": "dead units", "evidence": {"share": 0.5}, "advice": "Lower training.learning_rate."}
    journal.end_point("p0", PointEnd(PointState.FINISHED, diagnosis=[found]), 1_700_000_900_000)
    journal.record_figure("p0", FigureRecord("diagnosis.txt", "diagnosis"), 1_700_000_900_000)
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    run = runs(server.store, "diagnosis")["p0"]
    assert run["tags"]["sweeps.diagnosis"] == "dead units"
    artifacts = server.folder / "artifacts" / str(journal.sweep().experiment_id) / run["id"] / "artifacts"
    text = (artifacts / "diagnosis.txt").read_text()
    assert text == "Dead units (warning)\n  share: 0.5\n  Advice: Lower training.learning_rate.\n"


def artifacts(server: MlflowServer, journal: Journal, point_id: str) -> list[str]:
    """The artifacts of a point's run by path."""
    run_id = journal.delivery.run_ids()[point_id]
    folder = server.folder / "artifacts" / str(journal.sweep().experiment_id) / run_id / "artifacts"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_figures_arrive_as_artifacts_and_snapshots_as_images_of_their_epochs(
    server: MlflowServer, write_journal: WriteJournal
) -> None:
    journal = write_journal("figures", n_points=1, figures=True)
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    found = artifacts(server, journal, "p0")
    stems = [f"images/{key}+step+0+timestamp+1700000000000+" for key in ("filters", "reconstructions")]
    expected = [re.escape(stem) + r"[0-9a-f-]{36}" + end for stem in stems for end in (r"\+compressed\.webp", r"\.png")]
    assert all(map(re.fullmatch, [*expected, r"loss_curve\.png"], found))
    assert runs(server.store, "figures")["p0"]["tags"]["mlflow.loggedImages"] == "True"


def test_every_end_has_its_state_in_mlflow(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("ends", n_points=4, ended=False)
    journal.end_point("p0", PointEnd(PointState.FINISHED, None, {"sweeps.stopped_early": "asha"}), 1_700_000_100_000)
    journal.end_point("p1", PointEnd(PointState.FAILED, "train/loss is nan at epoch 3"), 1_700_000_100_000)
    journal.end_point("p2", PointEnd(PointState.KILLED, "interrupted"), 1_700_000_100_000)
    journal.end_sweep(SweepState.INTERRUPTED, "", {}, 1_700_000_100_000)
    sync(journal, server.uri, journal.path.parent, 60)
    found = runs(server.store, "ends")
    statuses = {point_id: run["status"] for point_id, run in found.items()}
    assert statuses == {None: "KILLED", "p0": "FINISHED", "p1": "FAILED", "p2": "KILLED", "p3": "RUNNING"}
    assert found["p0"]["tags"]["sweeps.stopped_early"] == "asha"
    assert found["p1"]["tags"]["mlflow.note.content"] == "**Failed**: train/loss is nan at epoch 3"


def test_retried_point_continues_in_its_run(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("retry", n_points=1, ended=False)
    journal.end_point("p0", PointEnd(PointState.FAILED, "its node was lost"), 1_700_000_100_000)
    sync(journal, server.uri, journal.path.parent, 60)
    assert runs(server.store, "retry")["p0"]["status"] == "FAILED"
    journal.retry_point("p0", "its node was lost", 1_700_000_200_000)
    sync(journal, server.uri, journal.path.parent, 60)
    run = runs(server.store, "retry")["p0"]
    assert (run["status"], run["tags"]["sweeps.retried"], run["tags"]["sweeps.reason"]) == (
        "RUNNING",
        "its node was lost",
        "",
    )


def test_an_unavailable_server_is_logged_once_and_so_is_its_return(
    server: MlflowServer, write_journal: WriteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    journal = write_journal("unavailable")
    server.stop()
    shipper = Shipper(journal, server.uri, journal.path.parent)
    with caplog.at_level("WARNING", logger="sweeps"):
        shipper.start()
        wait_until(lambda: bool(caplog.records))
        server.start()
        wait_until(lambda: len(caplog.records) > 1)
        shipper.close(60)
    first, last = (record.getMessage() for record in caplog.records)
    assert "trials continue" in first
    assert "refuses connections" in first
    assert "again" in last


def test_resumed_sweep_continues_in_its_run(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("resume", n_points=1, ended=False)
    journal.end_sweep(SweepState.INTERRUPTED, "as far as it came", {}, 1_700_000_100_000)
    sync(journal, server.uri, journal.path.parent, 60)
    assert runs(server.store, "resume")[None]["status"] == "KILLED"
    journal.resume_sweep({"name": "quickstart"}, {"sweeps.extended": "to 8 trials"}, 1_700_000_200_000)
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    run = runs(server.store, "resume")[None]
    assert (run["status"], run["tags"]["sweeps.extended"]) == ("RUNNING", "to 8 trials")


def test_metrics_that_are_not_finite_arrive_once(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("infinite", n_points=0)
    journal.start_point(PointRecord("p0", 0, {}, "p0", 1))
    journal.record_epoch("p0", 1, {"up": math.inf, "down": -math.inf, "nan": math.nan, "plain": 0.1}, 7)
    sync(journal, server.uri, journal.path.parent, 60)
    journal.delivery.deliver_to("elsewhere")
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    query = "SELECT key, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key"
    # MLflow stores no infinities: it takes the largest number for them.
    expected = [("down", -LARGEST, 0), ("nan", 0.0, 1), ("plain", 0.1, 0), ("up", LARGEST, 0)]
    assert rows(server.store, query, journal.delivery.run_ids()["p0"]) == expected


def test_more_metrics_than_a_request_takes_arrive(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("many", n_points=1, n_epochs=600)
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    assert stored_metrics(server.store, "many") == recorded_metrics(journal)
    assert stored_metrics(server.store, "many").total() == 1800


def test_replaying_the_whole_journal_adds_nothing(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("replay", figures=True)
    sync(journal, server.uri, journal.path.parent, 60)
    before, files = runs(server.store, "replay"), artifacts(server, journal, "p0")
    journal.delivery.deliver_to("elsewhere")
    assert journal.delivery.n_undelivered() > 0
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    assert runs(server.store, "replay") == before
    assert artifacts(server, journal, "p0") == files
    assert stored_metrics(server.store, "replay") == recorded_metrics(journal)


def test_a_run_that_was_created_before_a_crash_is_found_again(
    server: MlflowServer, write_journal: WriteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = write_journal("crash")

    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(DeliveryState, "set_run_id", crash)
        with pytest.raises(Crash):
            sync(journal, server.uri, journal.path.parent, 60)
    assert journal.delivery.run_ids() == {}
    (created,) = runs(server.store, "crash").values()
    assert sync(journal, server.uri, journal.path.parent, 60) == DELIVERED
    assert runs(server.store, "crash")[None]["id"] == created["id"]


def test_shipper_leaves_the_processor_to_the_workers_until_they_have_started(
    server: MlflowServer, write_journal: WriteJournal, write_point: WritePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, has_reports = [], Journal.has_reports
    monkeypatch.setattr(Journal, "has_reports", lambda journal: looks.append(journal) or has_reports(journal))
    journal = write_journal("slow start", n_points=0, ended=False)
    shipper = Shipper(journal, server.uri, journal.path.parent)
    shipper.start()
    wait_until(lambda: len(looks) > 3)
    assert journal.delivery.store() is None, "MLflow has received nothing"
    write_point(journal, 0, n_epochs=1)
    wait_until(lambda: journal.delivery.n_undelivered() == 0)
    assert shipper.close(30) == 0


def test_a_journal_that_is_locked_while_workers_start_delays_no_delivery(
    server: MlflowServer, write_journal: WriteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: Journal) -> bool:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Journal, "has_reports", locked)
    journal = write_journal("locked start", n_points=1)
    shipper = Shipper(journal, server.uri, journal.path.parent)
    shipper.start()
    wait_until(lambda: journal.delivery.n_undelivered() == 0)
    assert shipper.close(30) == 0


def test_shipper_delivers_while_the_sweep_runs(
    server: MlflowServer, write_journal: WriteJournal, write_point: WritePoint
) -> None:
    journal = write_journal("live", n_points=1, ended=False)
    shipper = Shipper(journal, server.uri, journal.path.parent)
    shipper.start()
    wait_until(lambda: journal.delivery.n_undelivered() == 0)
    write_point(journal, 1, n_epochs=2)
    wait_until(lambda: journal.delivery.n_undelivered() == 0)
    assert shipper.close(30) == 0
    assert stored_metrics(server.store, "live") == recorded_metrics(journal)


def test_server_stopped_in_mid_delivery_and_started_again_gets_everything_once(
    server: MlflowServer, write_journal: WriteJournal, write_point: WritePoint
) -> None:
    journal = write_journal("outage", n_points=25, n_epochs=30, figures=False)
    n_entries = journal.delivery.n_undelivered()
    shipper = Shipper(journal, server.uri, journal.path.parent)
    shipper.start()
    wait_until(lambda: journal.delivery.n_undelivered() < n_entries - 100, pause=0.001)  # or all of it has arrived
    server.stop()
    assert journal.delivery.n_undelivered() > 0
    wait_until(lambda: shipper._loop.error == f"{server.uri} refuses connections")
    write_point(journal, 25, n_epochs=30)
    n_undelivered = journal.delivery.n_undelivered()
    wait_until(lambda: shipper.progress is not None and shipper.progress.n_waiting == n_undelivered)
    assert shipper.progress is not None
    assert shipper.progress.failing_since is not None
    assert "refuses connections" in str(shipper.progress)
    server.start()
    assert shipper.close(200) == 0
    assert shipper.progress == DeliveryProgress(journal.last_id(), 0)
    assert len(runs(server.store, "outage")) == 27
    assert {run["status"] for run in runs(server.store, "outage").values()} == {"FINISHED"}
    assert stored_metrics(server.store, "outage") == recorded_metrics(journal)


def test_a_server_that_never_answers_does_not_delay_the_end(nobody: str, write_journal: WriteJournal) -> None:
    journal = write_journal("gone")
    shipper = Shipper(journal, f"http://{nobody}", journal.path.parent)
    shipper.start()
    began = time.monotonic()
    assert shipper.close(2) == journal.delivery.n_undelivered() == 20
    assert time.monotonic() - began < 10


def test_a_server_that_hangs_does_not_delay_the_end(write_journal: WriteJournal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        journal = write_journal("hangs")
        shipper = Shipper(journal, f"http://127.0.0.1:{silent.getsockname()[1]}", journal.path.parent)
        shipper.start()
        began = time.monotonic()
        assert shipper.close(2) == 20
        assert time.monotonic() - began < 10


def test_a_slow_server_is_waited_for_as_long_as_something_arrives(
    server: MlflowServer, write_journal: WriteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = write_journal("slow", figures=True)
    log_file = MlflowStore.log_file

    def log_slowly(*arguments: Any) -> None:
        time.sleep(0.7)
        log_file(*arguments)

    monkeypatch.setattr(MlflowStore, "log_file", log_slowly)
    shipper = Shipper(journal, server.uri, journal.path.parent)
    shipper.start()
    wait_until(lambda: len(runs(server.store, "slow")) == 4)
    assert shipper.close(2) == 0


def test_a_locked_store_delays_neither_the_end_nor_the_next_delivery(
    server: MlflowServer, write_journal: WriteJournal
) -> None:
    journal = write_journal("locked")
    with sqlite3.connect(server.store, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        shipper = Shipper(journal, server.uri, journal.path.parent)
        shipper.start()
        assert shipper.close(1) == 20
        other.execute("ROLLBACK")
    other.close()
    assert sync(journal, server.uri, journal.path.parent, 100).n_undelivered == 0
    assert stored_metrics(server.store, "locked") == recorded_metrics(journal)


def test_credentials_of_the_uri_are_in_no_file_and_no_log(
    server: MlflowServer,
    nobody: str,
    write_journal: WriteJournal,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    uri = server.uri.replace("//", "//me:hunter2@")
    journal = write_journal("secret", figures=True)
    assert sync(journal, uri, journal.path.parent, 100) == DELIVERED
    status = sync(journal, f"http://me:hunter2@{nobody}", journal.path.parent, 1)
    assert status.error == f"http://{nobody} refuses connections"
    left = [path.read_bytes() for path in [*journal.path.parent.glob("journal*"), *server.folder.glob("mlflow.db*")]]
    assert not any(b"hunter2" in content for content in left)
    assert "hunter2" not in caplog.text + "".join(capfd.readouterr())


def test_experiment_opens_among_the_pages_that_show_runs(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("kind", n_points=0)
    sync(journal, server.uri, journal.path.parent, 60)
    query = "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
    tags = dict(rows(server.store, query, journal.sweep().experiment_id))
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_experiment_without_a_description_gets_one(server: MlflowServer, write_journal: WriteJournal) -> None:
    client = MlflowClient(server.uri)
    described, plain = client.create_experiment("described"), client.create_experiment("plain")
    client.set_experiment_tag(described, "mlflow.note.content", "Mine.")
    for name in ("described", "plain", "new"):
        journal = write_journal(f"in-{name}", n_points=0, experiment=name)
        sync(journal, server.uri, journal.path.parent, 60)
    notes = {e.name: e.tags.get("mlflow.note.content", "") for e in client.search_experiments()}
    assert notes["described"] == "Mine."
    assert notes["plain"] == notes["new"]
    assert "sort by the metric `best/<objective>`" in notes["new"]
    assert client.get_experiment(plain).tags["mlflow.note.content"] == notes["new"]


def test_an_entry_that_mlflow_refuses_blocks_no_others(server: MlflowServer, write_journal: WriteJournal) -> None:
    journal = write_journal("refused", n_points=1, ended=False)
    journal.record_epoch("p0", 100, {"a name with $igns": 1.0}, 7)
    journal.record_figure("p0", FigureRecord("filters/gone.png", "filters", "points/p0/gone.npz"), 7)
    journal.record_figure("p0", FigureRecord("filters/far.png", "filters", "../../far.npz"), 7)
    journal.record_figure("p0", FigureRecord("../../far.png", "loss_curve"), 7)
    (journal.path.parent / "linked").symlink_to(journal.path.parent.parent)
    journal.record_figure("p0", FigureRecord("filters/linked.png", "filters", "linked/far.npz"), 7)
    journal.record_epoch("never started", 1, {"valid/mse": 1.0}, 7)
    journal.end_point("p0", PointEnd(PointState.FINISHED), 8)
    assert sync(journal, server.uri, journal.path.parent, 60) == ShipperStatus(0, 6, None)
    assert runs(server.store, "refused")["p0"]["status"] == "FINISHED"
    assert stored_metrics(server.store, "refused").total() == 12
    reasons = " / ".join(reason for _, reason in journal.delivery.refusals())
    for part in ("$igns", "gone.npz", "at ../../far.npz", "../../far.png at", "at linked/far.npz", "never started"):
        assert part in reasons


def test_two_sweeps_share_a_new_sqlite_store(tmp_path: Path, write_journal: WriteJournal) -> None:
    uri = f"sqlite:///{tmp_path}/shared/mlflow.db"
    journals = [write_journal(name, 5, experiment="shared", figures=True) for name in ("one", "two")]
    program = """
import sys
from pathlib import Path
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.shipper import sync
with Journal.open(sys.argv[1]) as journal:
    print(sync(journal, sys.argv[2], Path(sys.argv[1]).parent, 100))
"""
    commands = [[sys.executable, "-W", "ignore", "-c", program, str(journal.path), uri] for journal in journals]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for command in commands
    ]
    outputs = [process.communicate()[0].strip() for process in processes]
    assert outputs == [str(DELIVERED)] * 2
    for journal in journals:
        name = journal.sweep().sweep_id
        assert stored_metrics(tmp_path / "shared" / "mlflow.db", name) == recorded_metrics(journal)
    assert len(list((tmp_path / "shared" / "mlartifacts").rglob("*.png"))) == 30

"""Trials that raise, diverge or are killed; sweeps that are interrupted or share a store; a server that goes away."""

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.tracking.records import PointRecord, PointState

pytestmark = pytest.mark.slow

LONG = {"epochs": 150, "probe_samples": 0}


def kill_a_worker(driver: subprocess.Popen[str]) -> None:
    """SIGKILL one process that trains."""
    children = psutil.Process(driver.pid).children(recursive=True)
    workers = [child for child in children if " ".join(child.cmdline()).startswith("ray::ImplicitFunc")]
    assert workers, "no worker found"
    workers[0].kill()


def points(home: Any, sweep_id: str) -> list[PointRecord]:
    with home.journal(sweep_id) as journal:
        return list(journal.points())


def runs(uri: str, experiment: str) -> dict[str, Run]:
    """The child runs in MLflow by trial."""
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=200)
    return {run.data.tags["sweeps.trial"]: run for run in found if "sweeps.trial" in run.data.tags}


def statuses(home: Any, experiment: str) -> list[str]:
    found = runs(f"sqlite:///{home.path}/mlflow.db", experiment)
    return [run.info.status for _, run in sorted(found.items())]


def test_a_trial_that_raises_fails_alone_with_its_reason(home: Any, sweep_file: Callable[..., str]) -> None:
    # A hidden layer of 10^12 units takes more memory than there is: a real error, raised where the network is built.
    path = sweep_file(search={"model.hidden_size": {"grid": [8, 10**12, 16]}}, algorithm={"name": "grid"})
    printed = home.run_json("run", path, status=3)
    assert (printed["state"], printed["trials"], printed["failed"]) == ("FINISHED", 3, 1)
    failed = points(home, printed["sweep"])[1]
    assert failed.state is PointState.FAILED
    assert "RuntimeError" in (failed.reason or "")
    assert failed.n_retries == 0
    assert statuses(home, "small") == ["FINISHED", "FAILED", "FINISHED"]


def test_a_trial_that_diverges_fails_alone_and_at_once(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(
        search={"training.learning_rate": {"grid": [0.1, 1e30]}},
        training={"epochs": 5, "optimizer": "sgd", "probe_samples": 0},
        algorithm={"name": "grid"},
    )
    printed = home.run_json("run", path, status=3)
    healthy, diverged = points(home, printed["sweep"])
    assert (healthy.state, diverged.state) == (PointState.FINISHED, PointState.FAILED)
    assert "learning rate" in (diverged.reason or "")
    with home.journal(printed["sweep"]) as journal:
        assert len(journal.history(diverged.point_id)) < 5
    assert statuses(home, "small") == ["FINISHED", "FAILED"]


def test_a_sweep_without_one_finished_trial_has_failed(home: Any, sweep_file: Callable[..., str]) -> None:
    printed = home.run_json("run", sweep_file(model={"name": "shallow", "hidden_size": 10**12}), status=1)
    assert (printed["state"], printed["best"]) == ("FAILED", None)


def test_a_killed_trial_completes_when_retries_are_left(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(training=LONG)
    process = home.start("run", path, "--json")
    home.wait_for_epochs(process, 40)
    kill_a_worker(process)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    (point,) = points(home, json.loads(output)["sweep"])
    assert (point.state, point.n_retries) == (PointState.FINISHED, 1)
    with home.journal(json.loads(output)["sweep"]) as journal:
        assert [epoch for epoch, _ in journal.history(point.point_id)] == list(range(1, 151))
    assert statuses(home, "small") == ["FINISHED"]


def test_a_killed_trial_fails_when_no_retries_are_left_and_others_are_intact(
    home: Any, sweep_file: Callable[..., str]
) -> None:
    path = sweep_file(
        training=LONG,
        search={"model.hidden_size": {"grid": [8, 16]}},
        algorithm={"name": "grid"},
        resources={"retries": 0},
    )
    process = home.start("run", path, "--json")
    home.wait_for_epochs(process, 40)
    kill_a_worker(process)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 3, errors
    states = sorted(point.state for point in points(home, json.loads(output)["sweep"]))
    assert states == [PointState.FAILED, PointState.FINISHED]
    assert sorted(statuses(home, "small")) == ["FAILED", "FINISHED"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_ends_every_run_in_its_true_state(
    home: Any, sweep_file: Callable[..., str], number: signal.Signals
) -> None:
    path = sweep_file(training={"epochs": 100_000, "probe_samples": 0})
    process = home.start("run", path, "--json")
    home.wait_for_epochs(process, 5)
    process.send_signal(number)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert json.loads(output)["state"] == "INTERRUPTED"
    assert statuses(home, "small") == ["KILLED"]


def test_time_budget_ends_the_sweep_and_keeps_what_was_measured(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(training={"epochs": 100_000, "probe_samples": 0}, budget={"seconds": 30})
    printed = home.run_json("run", path)
    assert (printed["state"], printed["failed"]) == ("FINISHED", 0)
    assert printed["best"]["metrics"]["valid/mse"] > 0
    assert statuses(home, "small") == ["FINISHED"]


def test_two_sweeps_at_once_share_one_local_store(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(search={"model.hidden_size": {"choice": [8, 16]}}, budget={"trials": 3})
    both = [home.start("run", path, "--json", "--set", f"experiment=sweep-{k}") for k in range(2)]
    for process in both:
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        assert json.loads(output)["undelivered"] == 0
    assert statuses(home, "sweep-0") == statuses(home, "sweep-1") == ["FINISHED"] * 3


def test_server_stopped_and_started_in_mid_sweep_gets_every_metric_once(
    home: Any, sweep_file: Callable[..., str], server: Any
) -> None:
    path = sweep_file(
        training=LONG,
        experiment="away-and-back",
        search={"model.hidden_size": {"choice": [8, 16]}},
        budget={"trials": 4},
    )
    process = home.start("run", path, "--json", MLFLOW_TRACKING_URI=server.uri)
    home.wait_for_epochs(process, 40)
    server.stop()
    home.wait_for_epochs(process, 300)
    server.start()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    printed = json.loads(output)
    assert (printed["trials"], printed["failed"], printed["undelivered"]) == (4, 0, 0)
    client, delivered = MlflowClient(server.uri), runs(server.uri, "away-and-back")
    with home.journal(printed["sweep"]) as journal:
        for point_id, run in delivered.items():
            history = dict(journal.history(point_id))
            assert len(history) == 150
            for name in history[150]:
                got = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                assert sorted(got) == [(epoch, metrics[name]) for epoch, metrics in sorted(history.items())]
    assert [run.info.status for run in delivered.values()] == ["FINISHED"] * 4


def test_offline_sweep_is_delivered_by_sync(home: Any, sweep_file: Callable[..., str], server: Any) -> None:
    server.stop()
    path = sweep_file(experiment="offline")
    printed = home.run_json("run", path, "--offline", MLFLOW_TRACKING_URI=server.uri)
    assert printed["undelivered"] > 0
    server.start()
    synced = home.run_json("sync", printed["sweep"], MLFLOW_TRACKING_URI=server.uri)
    assert (synced["undelivered"], synced["refused"]) == (0, 0)
    assert [run.info.status for run in runs(server.uri, "offline").values()] == ["FINISHED"]

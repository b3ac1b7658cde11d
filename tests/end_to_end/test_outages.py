"""Sweeps that share a store, and a server that goes away."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow


def test_two_sweeps_at_once_share_one_local_store(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(search={"model.hidden_size": {"choice": [8, 16]}}, budget={"trials": 3})
    both = [home.start("run", path, "--json", "--set", f"experiment=sweep-{k}") for k in range(2)]
    for process in both:
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        assert json.loads(output)["undelivered"] == 0
    assert home.statuses("sweep-0") == home.statuses("sweep-1") == ["FINISHED"] * 3


def test_server_stopped_and_started_in_mid_sweep_gets_every_metric_once(
    home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any], server: Any
) -> None:
    n_epochs = 400
    path = sweep_file(
        training=long_training | {"epochs": n_epochs},
        experiment="away-and-back",
        search={"model.hidden_size": {"choice": [8, 16]}},
        budget={"trials": 4},
    )
    process = home.start("run", path, "--json", MLFLOW_TRACKING_URI=server.uri)
    home.wait_for_epochs(process, 40)
    server.stop()
    home.wait_for_epochs(process, 300)
    server.start()
    assert process.poll() is None, "MLflow must be back before the sweep ends"
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    printed = json.loads(output)
    assert (printed["trials"], printed["failed"], printed["undelivered"]) == (4, 0, 0)
    client, delivered = MlflowClient(server.uri), home.runs("away-and-back", server.uri)
    with home.journal(printed["sweep"]) as journal:
        for point_id, run in delivered.items():
            history = dict(journal.history(point_id))
            assert len(history) == n_epochs
            for name in history[n_epochs]:
                got = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                expected = [(epoch, metrics[name]) for epoch, metrics in sorted(history.items())]
                best = (n_epochs, min(value for _, value in expected))
                if name == "valid/mse" and best != expected[-1]:  # the objective ends at its best value
                    expected.append(best)
                assert sorted(got) == sorted(expected)
    assert [run.info.status for run in delivered.values()] == ["FINISHED"] * 4


def test_offline_sweep_is_delivered_by_sync(home: Any, sweep_file: Callable[..., str], server: Any) -> None:
    server.stop()
    path = sweep_file(experiment="offline")
    printed = home.run_json("run", path, "--offline", MLFLOW_TRACKING_URI=server.uri)
    assert printed["undelivered"] > 0
    server.start()
    synced = home.run_json("sync", printed["sweep"], MLFLOW_TRACKING_URI=server.uri)
    assert (synced["undelivered"], synced["refused"]) == (0, 0)
    (run,) = home.runs("offline", server.uri).values()
    assert run.info.status == "FINISHED"
    drawn = MlflowClient(server.uri).list_artifacts(run.info.run_id, "detailed")
    assert "detailed/reconstructions_and_pca.png" in [artifact.path for artifact in drawn]

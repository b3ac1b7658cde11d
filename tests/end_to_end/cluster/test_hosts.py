"""Sweeps submitted to a cluster of several hosts, which are lost, or cut off, while they run.

What is trained is counted by a plug-in of the hosts' own, which also holds trials where a test wants them.
"""

import json
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from polling import wait_until

from sweeps.tracking.journal.records import PointState

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

# A checkpoint is taken after epochs 1, 2, 4 and 8; a trial that is held has not reported its sixth.
N_EPOCHS, HELD, CHECKPOINT = 8, 6, 4
CUT_SECONDS = 30
OWNER = "admin"
AWAY = "MLflow is unavailable"
Cluster = Any


def sweep_file(cluster: Cluster, name: str, n_points: int) -> str:
    """A sweep on an array that lies on the laptop."""
    folder: Path = cluster.laptop.folder
    np.save(folder / "images.npy", np.random.default_rng(0).random((300, 16), dtype=np.float32))
    sweep = {
        "name": name,
        "data": {"name": "array", "path": str(folder / "images.npy"), "n_valid": 50, "n_test": 50},
        "model": {"name": "shallow", "hidden_size": 4},
        "training": {"epochs": N_EPOCHS, "probe_samples": 0},
        "objective": {"metric": "valid/mse"},
        "search": {"model.hidden_size": {"grid": list(range(4, 4 + n_points))}},
        "algorithm": {"name": "grid"},
        "execution": "single",
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(sweep))
    return str(path)


def epochs_of(cluster: Cluster, sweep: str) -> dict[str, list[int]]:
    """The epochs that each point was trained for, in order."""
    return {point: [epoch for epoch, _ in trained] for point, trained in sorted(cluster.trained(sweep).items())}


def held(cluster: Cluster, sweep: str) -> dict[str, str]:
    """The points that wait, with the hosts that train them."""
    return {point: trained[-1][1] for point, trained in cluster.trained(sweep).items() if trained[-1][0] == HELD}


@pytest.fixture(scope="module")
def of_cluster(cluster: Cluster, session_home: Callable[[Path], Any]) -> Any:
    """The sweeps of the cluster and the MLflow server's store, to look at: no command sees them so."""
    return replace(session_home(cluster.sweeps), store=cluster.store)


@dataclass(frozen=True)
class CutOff:
    """A sweep one of whose hosts, and MLflow, were cut off for a while; whether the laptop was without processes."""

    sweep: str
    submitted: dict[str, Any]
    laptop_was_gone: bool


@pytest.fixture(scope="module")
def cut_off(cluster: Cluster, of_cluster: Any) -> CutOff:
    cluster.hold_at(HELD)
    submitted = cluster.sweeps_json("submit", sweep_file(cluster, "cut-off", 3))
    was_gone, sweep = not cluster.laptop.processes(), submitted["sweep"]
    wait_until(lambda: len(held(cluster, sweep)) == 3)
    assert set(held(cluster, sweep).values()) == {"head", "worker-a", "worker-b"}
    for host in (cluster.workers[1], cluster.mlflow):
        host.cut_off()
    began = time.monotonic()
    cluster.let_go()
    wait_until(lambda: [point.state for point in of_cluster.points(sweep)].count(PointState.FINISHED) == 2)
    wait_until(lambda: time.monotonic() > began + CUT_SECONDS)
    for host in (cluster.workers[1], cluster.mlflow):
        host.join_again()
    cluster.wait_for_job(sweep)
    # Ray may give up a host that was cut off long after it has joined again, in the midst of the next test.
    cluster.workers[1].kill()
    return CutOff(sweep, submitted, was_gone and not cluster.laptop.processes())


def n_epochs(recorded: Counter[Any]) -> int:
    """The epochs of all trials, each as often as it was recorded; every epoch has a training loss."""
    return sum(count for (_, name, _, _), count in recorded.items() if name == "train/loss")


def test_submit_returns_and_the_sweep_ends_while_the_laptop_is_away(cluster: Cluster, cut_off: CutOff) -> None:
    assert cut_off.laptop_was_gone
    status = cluster.sweeps_json("status", cut_off.sweep)
    assert (status["state"], status["n_jobs"], status["errors"]) == ("FINISHED", 1, [])
    assert status["tracked"]["trials"] == {"FINISHED": 3}


def test_best_and_mlflow_agree(cluster: Cluster, of_cluster: Any, cut_off: CutOff) -> None:
    ranked = cluster.sweeps_json("best", cut_off.sweep, "--top", "3")
    client, runs = MlflowClient(of_cluster.uri), of_cluster.runs("cut-off")
    assert ranked["best"] == ranked["ranking"][0]
    assert len(ranked["ranking"]) == 3
    for trial in ranked["ranking"]:
        run = runs[trial["trial"]]
        assert run.info.run_id == trial["run_id"]
        for name, value in trial["metrics"].items():
            (stored,) = [m for m in client.get_metric_history(run.info.run_id, name) if m.step == trial["epoch"]]
            assert stored.value == value
    (parent,) = client.search_runs([run.info.experiment_id], "tags.`sweeps.role` = 'sweep'")
    note = parent.data.tags["mlflow.note.content"]
    named = sorted(ranked["ranking"], key=lambda trial: note.index(trial["run_id"]))
    assert named == ranked["ranking"]


def test_a_worker_and_mlflow_cut_off_for_a_while_lose_nothing(
    cluster: Cluster, of_cluster: Any, cut_off: CutOff
) -> None:
    assert [point.state for point in of_cluster.points(cut_off.sweep)] == [PointState.FINISHED] * 3
    trained = cluster.trained(cut_off.sweep)
    (lost,) = [point for point in trained if trained[point][0][1] == "worker-b"]
    once, epochs = list(range(1, N_EPOCHS + 1)), epochs_of(cluster, cut_off.sweep)
    # Ray may have given the host up for lost: then its trial has gone on elsewhere, from its checkpoint.
    assert epochs.pop(lost) in (once, [*range(1, HELD + 1), *range(CHECKPOINT + 1, N_EPOCHS + 1)])
    assert list(epochs.values()) == [once] * 2
    recorded, stored = of_cluster.recorded_and_stored(cut_off.sweep)
    assert stored == recorded
    assert n_epochs(recorded) == 3 * N_EPOCHS


def test_trials_of_a_lost_worker_go_on_elsewhere_from_their_checkpoints(
    whole_cluster: Cluster, of_cluster: Any
) -> None:
    cluster = whole_cluster
    cluster.hold_at(HELD)
    sweep = cluster.sweeps_json("submit", sweep_file(cluster, "lost-worker", 3))["sweep"]
    wait_until(lambda: len(held(cluster, sweep)) == 3, lambda: f"{epochs_of(cluster, sweep)}, {cluster.alive()}")
    (lost,) = [point for point, host in held(cluster, sweep).items() if host == "worker-a"]
    cluster.workers[0].kill()
    cluster.let_go()
    cluster.wait_for_job(sweep)
    assert cluster.sweeps_json("status", sweep)["told"].startswith("FINISHED: 3 of 3 trials ended, 0 failed")
    points = of_cluster.points(sweep)
    assert [(p.state, p.n_retries) for p in points] == [(PointState.FINISHED, int(p.point_id == lost)) for p in points]
    once, again = list(range(1, N_EPOCHS + 1)), [*range(1, HELD + 1), *range(CHECKPOINT + 1, N_EPOCHS + 1)]
    assert epochs_of(cluster, sweep) == {p.point_id: again if p.point_id == lost else once for p in points}
    assert {host for _, host in cluster.trained(sweep)[lost][HELD:]} < {"head", "worker-b"}
    recorded, stored = of_cluster.recorded_and_stored(sweep)
    assert stored == recorded
    assert of_cluster.statuses("lost-worker").count("FINISHED") == 3


def test_a_lost_head_loses_no_sweep_and_no_finished_trial_is_trained_again(
    whole_cluster: Cluster, of_cluster: Any
) -> None:
    cluster = whole_cluster
    cluster.hold_at(HELD, free=["0000"])
    sweep = cluster.sweeps_json("submit", sweep_file(cluster, "lost-head", 4))["sweep"]
    wait_until(lambda: len(held(cluster, sweep)) == 3 and epochs_of(cluster, sweep)["0000"][-1] == N_EPOCHS)
    wait_until(lambda: of_cluster.points(sweep)[0].state is PointState.FINISHED)
    wait_until(lambda: of_cluster.journal(sweep).sweep().run_id is not None)  # else only the head knows the sweep
    cluster.head.kill()
    away = cluster.sweeps_json("status", sweep)
    assert (away["tracked"]["sweep"], len(away["errors"])) == (sweep, 1)
    assert "does not answer (" in away["errors"][0]
    listed = cluster.sweeps_json("list")
    assert sweep in [tracked["sweep"] for tracked in listed["tracked"]]
    assert listed["errors"] == away["errors"]
    cluster.start()  # and the workers, which a head that does not know them sends away
    resumed = cluster.sweeps_json("resume", sweep[:-2])
    assert (resumed["sweep"], resumed["trials"]) == (sweep, 4)
    cluster.let_go()
    cluster.wait_for_job(resumed["job"])
    assert cluster.sweeps_json("status", sweep)["told"].startswith("FINISHED: 4 of 4 trials ended, 0 failed")
    again = [*range(1, HELD + 1), *range(CHECKPOINT + 1, N_EPOCHS + 1)]
    assert epochs_of(cluster, sweep) == {"0000": list(range(1, N_EPOCHS + 1))} | dict.fromkeys(
        ["0001", "0002", "0003"], again
    )
    recorded, stored = of_cluster.recorded_and_stored(sweep)
    assert stored == recorded
    assert n_epochs(recorded) == 4 * N_EPOCHS


def test_mlflow_away_for_the_whole_sweep_adds_one_line_and_sync_delivers_all(
    whole_cluster: Cluster, of_cluster: Any
) -> None:
    cluster = whole_cluster
    cluster.mlflow.kill()
    (refused,) = cluster.sweeps_json("run", sweep_file(cluster, "away", 2), status=2)["errors"]
    assert "--offline" in refused
    cluster.hold_at(HELD)
    sweep = cluster.sweeps_json("submit", sweep_file(cluster, "away", 2), "--offline")["sweep"]
    wait_until(lambda: AWAY in (cluster.get(f"/api/jobs/{sweep}/logs")["logs"] or ""))
    cluster.let_go()
    assert cluster.wait_for_job(sweep)["driver_exit_code"] == 0
    status = cluster.sweeps_json("status", sweep)
    assert (status["state"], status["tracked"]) == ("FINISHED", None)
    assert status["told"].startswith("FINISHED: 2 of 2 trials ended, 0 failed")
    assert "undelivered MLflow records" in status["told"]
    (no_answer,) = status["errors"]
    assert "does not answer" in no_answer
    assert sweep in [submitted["sweep"] for submitted in cluster.sweeps_json("list")["submitted"]]
    lines = cluster.sweeps_json("logs", sweep)["log"].splitlines()
    # The line that is always the last names what is left to deliver; no other but one is there because MLflow is away.
    said = [line for line in lines if not line.endswith(" ...")]  # without the steps
    added, last = [line for line in said if "MLflow" in line and not line.startswith("{")]
    assert added.startswith(AWAY)
    assert last.removeprefix("sweeps: ") == status["told"]
    (kept,) = cluster.sweeps_json("delete", sweep, status=2)["errors"]
    assert "undelivered records" in kept
    cluster.start()
    synced = cluster.sweeps_json("sync", sweep)
    assert (synced["undelivered"], synced["refused"]) == (0, 0)
    recorded, stored = of_cluster.recorded_and_stored(sweep)
    assert stored == recorded
    assert of_cluster.statuses("away") == ["FINISHED"] * 2
    assert cluster.sweeps_json("delete", sweep, "--runs")["runs_deleted"] == 3
    assert not (cluster.sweeps / "sweeps" / sweep).exists()
    assert sweep not in [submitted["sweep"] for submitted in cluster.sweeps_json("list")["submitted"]]
    assert of_cluster.runs("away") == {}


def test_a_wrong_token_or_password_is_told_at_once_with_what_to_set(whole_cluster: Cluster) -> None:
    cluster, path = whole_cluster, sweep_file(whole_cluster, "refused", 1)
    (missing,) = cluster.sweeps_json("submit", path, status=2, RAY_AUTH_TOKEN="")["errors"]
    assert "requires a token" in missing
    (wrong,) = cluster.sweeps_json("submit", path, status=2, RAY_AUTH_TOKEN=cluster.token[::-1])["errors"]
    assert "rejects the token of RAY_AUTH_TOKEN" in wrong
    cluster.change_password(cluster.password, cluster.password[::-1])
    try:
        (here,) = cluster.sweeps_json("list")["errors"]
        sweep = cluster.sweeps_json("submit", path)["sweep"]
        cluster.wait_for_job(sweep)
        status = cluster.sweeps_json("status", sweep)
    finally:
        cluster.change_password(cluster.password[::-1], cluster.password)
    assert (status["state"], here) == ("FAILED", status["told"])
    assert "does not accept the credentials (status 401): set MLFLOW_TRACKING_USERNAME and" in here


def test_no_secret_is_in_anything_that_the_sweeps_have_left_behind(whole_cluster: Cluster, cut_off: CutOff) -> None:
    cluster, told = whole_cluster, list(whole_cluster.said)
    for command in ("list", "best", "status", "resume"):
        sweep = [] if command == "list" else [cut_off.sweep]
        shown = cluster.laptop.run(sys.executable, "-m", "sweeps", command, *sweep)
        assert cut_off.sweep in shown.stdout + shown.stderr
        told += [shown.stdout, shown.stderr]
    assert f"{cut_off.sweep} has finished" in shown.stderr
    credentials = f"{OWNER}:{cluster.password}"
    secrets = [cluster.token, cluster.password, b64encode(credentials.encode()).decode()]
    secrets += [secret[::-1] for secret in secrets[:2]]  # the wrong ones
    told.append(json.dumps(cluster.get("/api/jobs/")))
    assert not [secret for secret in secrets for text in told if secret in text]
    own = [cluster.mlflow.folder / "auth.ini"]
    files = [path for path in cluster.network.folder.rglob("*") if path.is_file() and path not in own]
    assert len([path for path in files if "logs" in path.parts]) > 10
    assert not [path for path in files for secret in secrets if secret.encode() in path.read_bytes()]

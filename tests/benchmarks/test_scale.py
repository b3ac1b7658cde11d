"""A sweep of 2,000 one-epoch trials, and commands on its results; `list` with 10,000 runs.

`pytest -m benchmark -n 0 -s tests/benchmarks/test_scale.py`.

SWEEPS_BENCHMARK=quick runs 100 trials. Seconds of commands are wall-clock time.
"""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import psutil
import pytest
from mlflow import MlflowClient

from sweeps.config import SweepConfig, load
from sweeps.storage import layout
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.mlflow.run_metadata import flatten
from sweeps.trial.events import now_ms

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]

SETTINGS = ["training.epochs=1", "training.validate_every=1", "objective.metric=valid/mse", "execution=single"]
Row = Callable[[str, str, str], None]
# The types of conftest's fixtures; a test module cannot import a conftest.
MlflowServer = Any
Proxy = Callable[[str], Any]
N_SWEEPS, N_TRIALS, N_EPOCHS = 20, 500, 5


def seconds_of(*arguments: str) -> float:
    """The wall-clock seconds of a command: the median of five runs."""
    elapsed = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sweeps", *arguments], check=True, capture_output=True)
        elapsed.append(time.perf_counter() - start)
    return median(elapsed)


def run_watched(n_trials: int) -> tuple[dict[str, Any], dict[str, list[tuple[float, float]]]]:
    """The output of a sweep of `n_trials`, and the MiB of its driver and its largest worker, second by second."""
    overrides = [f"--set={setting}" for setting in (*SETTINGS, f"budget.trials={n_trials}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeps", "run", "quickstart", "--json", *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    memory: dict[str, list[tuple[float, float]]] = {"driver": [], "worker": []}

    def watch() -> None:
        driver = psutil.Process(process.pid)
        while process.poll() is None:
            memory["driver"].append((time.time(), mib(driver)))
            workers = [child for child in driver.children(recursive=True) if child.name().startswith("ray::Implicit")]
            memory["worker"].append((time.time(), max(map(mib, workers), default=0.0)))
            time.sleep(1.0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed, _ = process.communicate()
    watcher.join()
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1]), memory


def mib(process: psutil.Process) -> float:
    """The resident memory in MiB; 0 for a process that has just ended."""
    try:
        return float(process.memory_info().rss / 2**20)
    except psutil.NoSuchProcess:
        return 0.0


def ends_of(sweep_id: str) -> list[float]:
    """When each trial ended, in order: seconds since 1970."""
    path = Path(os.environ["SWEEPS_HOME"], "sweeps", sweep_id, "journal.db")
    with sqlite3.connect(path) as connection:
        query = "SELECT time_ms / 1000.0 FROM entries WHERE kind = 'point_end' ORDER BY time_ms"
        return [ended for (ended,) in connection.execute(query)]


def mib_around(moment: float, memory: Sequence[tuple[float, float]]) -> float:
    """The median of the five readings nearest to a moment."""
    nearest = sorted(memory, key=lambda reading: abs(reading[0] - moment))[:5]
    return median(mib for _, mib in nearest)


def test_many_trials(results: dict[str, Any], table: Row, is_quick: bool) -> None:
    n_trials = 100 if is_quick else 2000
    printed, memory = run_watched(n_trials)
    ends = ends_of(printed["sweep"])
    tenth = n_trials // 20
    first, last = ends[2 * tenth] - ends[tenth], ends[-1] - ends[-1 - tenth]
    moments = ends[n_trials // 4], ends[n_trials - tenth]
    mibs = {name: [mib_around(moment, readings) for moment in moments] for name, readings in memory.items()}
    seconds = {name: seconds_of(name, printed["sweep"]) for name in ("status", "best")}
    results["many trials"] = {
        "n_trials": n_trials,
        "seconds": printed["seconds"],
        "seconds_of_an_early_and_of_the_last_twentieth": [first, last],
        "mib_after_a_quarter_and_at_the_end": mibs,
        "seconds_of_commands": seconds,
    }
    table(f"the last twentieth of {n_trials} trials ÷ the second", f"{last / first:.2f}", "flat")
    for name, (early, late) in mibs.items():
        table(f"memory of the {name}, from a quarter to the end", f"{early:.0f} to {late:.0f} MiB", "flat")
    for name, value in seconds.items():
        table(f"sweeps {name}, of {n_trials} trials", f"{value:.2f} s", "2 s")


@pytest.mark.parametrize(("arguments", "target"), [(("--help",), 0.4), (("validate", "quickstart"), 0.6)])
def test_commands(results: dict[str, Any], table: Row, arguments: tuple[str, ...], target: float) -> None:
    seconds = seconds_of(*arguments)
    results[" ".join(arguments)] = {"seconds": seconds}
    table(f"sweeps {' '.join(arguments)}", f"{seconds:.2f} s", f"{target} s")


def test_requests(results: dict[str, Any], table: Row, server: MlflowServer, faulty: Proxy, is_quick: bool) -> None:
    """Requests to MLflow, counted by a proxy before a real server."""
    n_trials = 10 if is_quick else 100
    with faulty(server.uri) as (uri, counted), patch.dict(os.environ, MLFLOW_TRACKING_URI=uri):
        printed, _ = run_watched(n_trials)
    assert printed["undelivered"] == 0
    each = len(counted.asked) / n_trials
    results["requests of MLflow"] = {"n_trials": n_trials, "a_trial": each}
    table("requests of MLflow, a trial of one epoch with its figures", f"{each:.1f}", "")


def test_list(results: dict[str, Any], table: Row, server: MlflowServer, tmp_path: Path) -> None:
    """List 10,000 trials under SWEEPS_HOME; and, on a machine without any, as many runs in MLflow.

    `list` asks MLflow when RAY_ADDRESS names a cluster: here one that does not answer, which it reports.
    """
    config = load("quickstart", [f"budget.trials={N_TRIALS}"])
    for _ in range(N_SWEEPS):
        write_journal(config)
    experiment = MlflowClient(server.uri).create_experiment("many")
    write_runs(server.store, experiment)
    seconds = {"here": seconds_of("list")}
    asks = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9", "MLFLOW_TRACKING_URI": server.uri}
    with patch.dict(os.environ, asks | {"SWEEPS_HOME": str(tmp_path)}):
        seconds["in MLflow"] = seconds_of("list")
    results["list"] = {"n_runs": N_SWEEPS * N_TRIALS, "seconds": seconds}
    for where, value in seconds.items():
        table(f"sweeps list, 10,000 runs {where}", f"{value:.2f} s", "2 s")


def write_journal(config: SweepConfig) -> None:
    """Write the journal of a finished sweep, as its driver leaves it."""
    folder = layout.create(config.name)
    record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), now_ms())
    with Journal.create(folder.journal, record) as journal:
        for index in range(N_TRIALS):
            point_id = f"{index:04}"
            point = {"model.hidden_size": 16 + index}
            params = flatten(config.trial_at(point).to_dict())
            journal.start_point(PointRecord(point_id, index, point, f"h={index}", now_ms(), params=params))
            for epoch in range(1, N_EPOCHS + 1):
                metrics = {f"valid/{name}": 1 / (epoch + index) for name in ("mse", "probe_error", "r2", "dead_units")}
                journal.record_epoch(point_id, epoch, metrics, now_ms())
            journal.end_point(point_id, PointEnd(PointState.FINISHED), now_ms())
        journal.end_sweep(SweepState.FINISHED, "", {}, now_ms())


def write_runs(store: Path, experiment: str) -> None:
    """Write the runs of as many sweeps in SQL: logging them would take an hour."""
    with sqlite3.connect(store) as connection:
        for number in range(N_SWEEPS * (N_TRIALS + 1)):
            run_id, (sweep, trial) = uuid4().hex, divmod(number, N_TRIALS + 1)
            tags = {"sweeps.sweep": f"many-{sweep:04}", "mlflow.user": "somebody"}
            tags |= {"sweeps.trial": f"{trial:04}"} if trial else {"sweeps.role": "sweep"}
            connection.execute(
                "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage, "
                "artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', 'FINISHED', ?, ?, 'active', ?, ?)",
                (run_id, f"h={trial}", number, number + 1, f"mlflow-artifacts:/{experiment}/{run_id}", experiment),
            )
            rows = [(key, value, run_id) for key, value in tags.items()]
            rows += [(f"sweeps.version.{k}", "1.0", run_id) for k in range(8)]
            connection.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", rows)
            params = [(f"model.setting_{k}", str(k), run_id) for k in range(30)]
            connection.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)

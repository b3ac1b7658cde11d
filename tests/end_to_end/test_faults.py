"""Trials that raise, diverge or lose their process."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from sweeps.tracking.journal.records import PointState

pytestmark = pytest.mark.slow


# The weights take 4 TB, more memory than there is: a real error, raised where the network is built.
TOO_LARGE = [100_000] * 100


def kill_a_worker(driver: subprocess.Popen[str]) -> None:
    """SIGKILL one process that trains."""
    children = psutil.Process(driver.pid).children(recursive=True)
    workers = [child for child in children if " ".join(child.cmdline()).startswith("ray::ImplicitFunc")]
    assert workers, "no worker found"
    workers[0].kill()


def test_a_trial_that_raises_fails_alone_with_its_reason(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(
        model={"name": "deep", "code_size": 2},
        search={"model.hidden_sizes": {"grid": [[8], TOO_LARGE, [16]]}},
        algorithm={"name": "grid"},
    )
    printed = home.run_json("run", path, status=3)
    assert (printed["state"], printed["trials"], printed["failed"]) == ("FINISHED", 3, 1)
    failed = home.points(printed["sweep"])[1]
    assert failed.state is PointState.FAILED
    assert "RuntimeError" in (failed.reason or "")
    assert failed.n_retries == 0
    assert home.statuses("small") == ["FINISHED", "FAILED", "FINISHED"]


def test_a_trial_that_diverges_fails_alone_and_at_once(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(
        search={"training.learning_rate": {"grid": [0.1, 1e30]}},
        training={"epochs": 5, "optimizer": "sgd", "probe_samples": 0},
        algorithm={"name": "grid"},
    )
    printed = home.run_json("run", path, status=3)
    healthy, diverged = home.points(printed["sweep"])
    assert (healthy.state, diverged.state) == (PointState.FINISHED, PointState.FAILED)
    assert "learning rate" in (diverged.reason or "")
    with home.journal(printed["sweep"]) as journal:
        assert len(journal.history(diverged.point_id)) < 5
    assert home.statuses("small") == ["FINISHED", "FAILED"]


def test_a_sweep_without_one_finished_trial_has_failed(home: Any, sweep_file: Callable[..., str]) -> None:
    printed = home.run_json("run", sweep_file(model={"name": "deep", "hidden_sizes": TOO_LARGE}), status=1)
    assert (printed["state"], printed["best"]) == ("FAILED", None)


def test_a_killed_trial_completes_when_retries_are_left(
    home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any]
) -> None:
    path = sweep_file(training=long_training)
    process = home.start("run", path, "--json")
    home.wait_for_epochs(process, 40)
    kill_a_worker(process)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    (point,) = home.points(json.loads(output)["sweep"])
    assert (point.state, point.n_retries) == (PointState.FINISHED, 1)
    with home.journal(json.loads(output)["sweep"]) as journal:
        assert [epoch for epoch, _ in journal.history(point.point_id)] == list(range(1, 151))
    assert home.statuses("small") == ["FINISHED"]


def test_a_killed_trial_fails_when_no_retries_are_left_and_others_are_intact(
    home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any]
) -> None:
    path = sweep_file(
        training=long_training,
        search={"model.hidden_size": {"grid": [8, 16]}},
        algorithm={"name": "grid"},
        resources={"retries": 0},
    )
    process = home.start("run", path, "--json")
    home.wait_for_epochs(process, 40)
    kill_a_worker(process)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 3, errors
    states = sorted(point.state for point in home.points(json.loads(output)["sweep"]))
    assert states == [PointState.FAILED, PointState.FINISHED]
    assert sorted(home.statuses("small")) == ["FAILED", "FINISHED"]

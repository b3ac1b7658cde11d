"""Sweeps that are interrupted, or run out of time."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow


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
    assert home.statuses("small") == ["KILLED"]


def test_time_budget_ends_the_sweep_and_keeps_what_was_measured(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(training={"epochs": 100_000, "probe_samples": 0}, budget={"seconds": 30})
    printed = home.run_json("run", path)
    assert (printed["state"], printed["failed"]) == ("FINISHED", 0)
    assert printed["best"]["metrics"]["valid/mse"] > 0
    assert home.statuses("small") == ["FINISHED"]

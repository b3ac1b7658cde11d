"""A quote of a sweep, the sweep itself, and what is kept of both; a sweep that ends by its device time."""

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_quote_is_kept_and_compared_with_the_sweep(home: Any) -> None:
    settings = ["--set", "budget.trials=4", "--set", "prices={currency: EUR, cpu_hour: 0.5}"]
    quote = home.run_json("quote", "quickstart", *settings)
    assert (quote["trials"], quote["packs"], quote["device"]) == (4, 2, "CPU core")
    assert 0 < quote["startup_seconds"] < quote["first_result_seconds"] < quote["seconds"]
    assert quote["low"] < quote["seconds"] < quote["high"]
    assert quote["money"] == pytest.approx(quote["device_hours"] * 0.5)
    assert quote["memory_bytes"] > quote["worker_bytes"] > 1e8
    assert 1e5 < quote["disk_bytes"] < 1e8
    assert quote["mlflow_requests"] > 4
    assert quote["measured_seconds"] < 120
    assert (quote["corrected_by"], quote["correction"]) == (0, 1.0)

    printed = home.run_json("run", "quickstart", *settings)
    assert printed["quoted_seconds"] == pytest.approx(quote["seconds"], abs=1e-3)
    assert printed["device_hours"] > 0
    assert printed["ended_by"] is None
    text = home.sweeps("status", printed["sweep"]).stdout
    assert "quoted " in text
    assert ", took " in text


def test_device_hours_end_a_sweep_and_count_after_a_resume(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(training={"epochs": 100_000, "probe_samples": 0})
    printed = home.run_json("run", path, "--max-device-hours", "0.012")
    assert (printed["state"], printed["ended_by"]) == ("FINISHED", "budget.device_hours")
    assert 0.012 <= printed["device_hours"] < 0.05
    assert printed["best"]["stopped_by"] == "budget.device_hours"  # it has a value, and keeps it
    assert home.statuses("small") == ["FINISHED"]
    assert "ended by budget.device_hours" in home.sweeps("status", printed["sweep"]).stdout
    refused = home.sweeps("extend", printed["sweep"], "--trials", "1", "--json")
    assert refused.returncode == 2
    assert any("device time" in line or "search space" in line for line in json.loads(refused.stdout)["errors"])

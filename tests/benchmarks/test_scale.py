"""A sweep of 2,000 one-epoch trials, and commands on what it leaves.

`pytest -m benchmark -n 0 --no-cov -s tests/benchmarks/test_scale.py`.

SWEEPS_BENCHMARK=quick takes 100 trials. Seconds of commands are of CPU, start of Python included.
"""

import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]

SETTINGS = ["training.epochs=1", "training.validate_every=1", "objective.metric=valid/mse", "execution=single"]
Row = Callable[[str, str, str], None]


def cpu_seconds(*arguments: str) -> float:
    """What a command takes of the CPU: the least of three."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "sweeps", *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def run_watched(n_trials: int) -> tuple[dict[str, Any], list[float]]:
    """What a sweep of so many trials prints, and the MiB that its driver took, second by second."""
    overrides = [f"--set={setting}" for setting in (*SETTINGS, f"budget.trials={n_trials}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeps", "run", "quickstart", "--json", *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    memory: list[float] = []

    def watch() -> None:
        driver = psutil.Process(process.pid)
        while process.poll() is None:
            memory.append(driver.memory_info().rss / 2**20)
            time.sleep(1.0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed, _ = process.communicate()
    watcher.join()
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1]), memory


def ends_of(sweep_id: str) -> list[float]:
    """When each trial had ended, in order: seconds since 1970."""
    path = Path(os.environ["SWEEPS_HOME"], "sweeps", sweep_id, "journal.db")
    with sqlite3.connect(path) as connection:
        query = "SELECT time_ms / 1000.0 FROM entries WHERE kind = 'point_end' ORDER BY time_ms"
        return [ended for (ended,) in connection.execute(query)]


def test_many_trials(results: dict[str, Any], table: Row, is_quick: bool) -> None:
    n_trials = 100 if is_quick else 2000
    printed, memory = run_watched(n_trials)
    ends = ends_of(printed["sweep"])
    tenth = n_trials // 20
    first, last = ends[2 * tenth] - ends[tenth], ends[-1] - ends[-1 - tenth]
    begun, ended = median(memory[len(memory) // 4 : len(memory) // 3]), median(memory[-len(memory) // 10 :])
    seconds = {name: cpu_seconds(name, printed["sweep"]) for name in ("status", "best")}
    results["many trials"] = {
        "n_trials": n_trials,
        "seconds": printed["seconds"],
        "seconds_of_an_early_and_of_the_last_twentieth": [first, last],
        "driver_mib_after_a_quarter_and_at_the_end": [begun, ended],
        "cpu_seconds": seconds,
    }
    table(f"the last twentieth of {n_trials} trials ÷ the second", f"{last / first:.2f}", "flat")
    table("memory of the driver, from a quarter to the end", f"{begun:.0f} to {ended:.0f} MiB", "flat")
    for name, value in seconds.items():
        table(f"sweeps {name}, of {n_trials} trials", f"{value:.2f} s", "2 s")


@pytest.mark.parametrize(("arguments", "target"), [(("--help",), 0.4), (("validate", "quickstart"), 0.6)])
def test_commands(results: dict[str, Any], table: Row, arguments: tuple[str, ...], target: float) -> None:
    seconds = cpu_seconds(*arguments)
    results[" ".join(arguments)] = {"cpu_seconds": seconds}
    table(f"sweeps {' '.join(arguments)}", f"{seconds:.2f} s", f"{target} s")

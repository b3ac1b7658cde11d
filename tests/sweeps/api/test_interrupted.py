"""A sweep that Python runs is stopped as one of the command line is: Ctrl-C returns its result, `stop` ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from polling import wait_until

import sweeps
from sweeps.errors import SweepDone, UnknownSweep

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 200
SCRIPT = """
import sweeps
result = sweeps.run(
    {
        "name": "long",
        "data": {"name": "digits"},
        "model": {"name": "shallow", "hidden_size": 8},
        "training": {"epochs": 100000, "probe_samples": 0},
        "objective": {"metric": "valid/mse"},
    }
)
print(result.record.state, len(result.history()) > 0)
try:
    sweeps.load("quickstart", {"training.epochs": 0})
except sweeps.errors.ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("how", ["Ctrl-C", "stop"])
def test_an_interrupted_run_returns_its_result_and_prints_nothing_else(own_home: Path, how: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=own_home
    )

    def has_trained() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            return len(sweeps.best("long").history()) > 2
        except UnknownSweep:
            return False

    wait_until(has_trained, seconds=SECONDS)
    assert sweeps.status("long").n_running == 1
    if how == "stop":
        stopped = sweeps.stop("long")
        assert (stopped.state, stopped.has_ended, stopped.where) == ("INTERRUPTED", True, "here")
    else:
        os.kill(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=SECONDS)
    state, refused = printed.splitlines()
    assert state == "INTERRUPTED True"
    assert refused.startswith("training.epochs must be")
    assert errors == ""
    killed = sweeps.best("long").trials().iloc[0]
    assert killed["state"] == "KILLED"
    assert killed.isna()["valid/mse"]
    with pytest.raises(SweepDone, match="there is nothing to stop"):
        sweeps.stop("long")

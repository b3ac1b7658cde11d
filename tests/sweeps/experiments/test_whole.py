"""The published experiments as they ship, all of each, through the command line: minutes to an hour."""

import json
import os
import subprocess
import sys

import pytest

from sweeps.experiments.reproduce import names

# Those that are trained on MNIST.
ON_MNIST = ("hs", "da", "sda")


@pytest.mark.reproduction
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("name", names())
def test_every_claim_of_a_published_experiment_is_reached(name: str, request: pytest.FixtureRequest) -> None:
    if name.startswith(ON_MNIST):
        request.getfixturevalue("real_mnist")
    command = [sys.executable, "-m", "sweeps", "reproduce", name, "--json"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["verdict"] for row in json.loads(done.stdout)["rows"]} <= {"reached", "no target"}

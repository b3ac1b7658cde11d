"""A convolutional plug-in network on plug-in data: promoted, scored, loaded without its code, beaten and taken back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conv_plugin import write_plugin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

DATA = """
from sklearn.datasets import load_digits

from sweeps.plugins import DataSettings, Samples


def digit_images(settings: DataSettings) -> Samples:
    images, labels = load_digits(return_X_y=True)
    return Samples(images.reshape(-1, 8, 8).astype("uint8"), labels, scale=1 / 16)
"""
# A code that is no bottleneck must beat the training mean, and does after two epochs.
SWEEP = {
    "data": {"name": "images_of_a_user:digit_images", "n_test": 400},
    "training": {"batch_size": 32, "learning_rate": 0.01},
    "search": {"training.epochs": {"grid": [2]}},
    "algorithm": {"name": "grid"},
}
# As a user without this project and without the plug-in loads the champion.
LOAD = """
import sys
for name in ("sweeps", "pytorch_lightning", "ray"):
    sys.modules[name] = None  # importing it raises
import mlflow.pyfunc, numpy
model = mlflow.pyfunc.load_model("models:/images@champion")
numpy.save("loaded.npy", model.predict(numpy.load("../images.npy").reshape(-1, 64)))
assert not {"network_of_a_user", "images_of_a_user"} & sys.modules.keys()
"""
ROOT = Path(__file__).parents[2]
PYTHON = """
import json, sys
import sweeps
verdict = sweeps.promote(sys.argv[1], "images", dry_run=True)
print(json.dumps([verdict.verdict, sweeps.history("images").holder]))
"""


def test_a_plugin_network_is_promoted_served_beaten_and_taken_back(home: Any, sweep_file: Callable[..., str]) -> None:
    name = write_plugin(home.path, "network_of_a_user")
    (home.path / "images_of_a_user.py").write_text(DATA)
    np.save(home.path / "images.npy", np.random.default_rng(0).integers(0, 17, (20, 8, 8)).astype(np.uint8))
    model = {"name": name, "channels": 4, "code_size": 70}
    first = home.run_json("run", sweep_file(**SWEEP, model=model))["sweep"]
    promoted = home.run_json("promote", first, "--model", "images", "--first")
    assert (promoted["verdict"], promoted["version"]) == ("promoted", "1")
    outcomes = {gate["name"]: gate["outcome"] for gate in promoted["gates"]}
    assert (outcomes["reloaded"], outcomes["reference"]) == ("passed", "passed")

    scored = home.run_json("score", "images@champion", "images.npy", "scores.npy")
    assert (scored["sha256_checked"], scored["package_sha256"]) == (True, promoted["package_sha256"])
    check_loaded_elsewhere(home)
    check_another_home(home, name, promoted["package_sha256"])

    longer = SWEEP | {"search": {"training.epochs": {"grid": [8]}}}
    second = home.run_json("run", sweep_file(**longer, model=model))["sweep"]
    (verdict, holder) = json.loads(python(home, PYTHON, second))
    assert (verdict, holder) == ("would be promoted", "1")
    better = home.run_json("promote", second, "--model", "images")
    assert (better["verdict"], better["version"], better["replaced"]) == ("promoted", "2", "1")
    assert home.run_json("rollback", "images")["version"] == "1"
    assert home.sweeps("history", "images", "--verify").returncode == 0

    module: Path = home.path / "network_of_a_user.py"
    module.write_text(f"{module.read_text()}\n# another source\n")
    (changed,) = home.run_json("score", "images@champion", "images.npy", "scores.npy", status=2)["errors"]
    assert changed.startswith(f"the source of the plug-in {name} must be the one that was promoted (SHA-256 ")
    judged = home.sweeps("promote", second, "--model", "images", "--dry-run")
    assert f"the source of the plug-in {name} has changed since the trial was trained" in judged.stderr


def check_loaded_elsewhere(home: Any) -> None:
    """Check that MLflow's users get the outputs of `sweeps score`, in a process that has neither code."""
    (home.path / "elsewhere").mkdir()
    environment = home.environment | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", LOAD], cwd=home.path / "elsewhere", env=environment, check=True, timeout=120)
    loaded, scored = np.load(home.path / "elsewhere/loaded.npy"), np.load(home.path / "scores.npy")
    assert scored.shape == (20, 64 + 70 + 1)
    np.testing.assert_allclose(loaded, scored, atol=1e-4)


def check_another_home(home: Any, name: str, sha256: str) -> None:
    """Check that a machine without the log of promotions imports the plug-in only if its user says so."""
    other = {"SWEEPS_HOME": str(home.path / "other")}
    command = ("score", "images@champion", "images.npy", "other.npy")
    refused = home.sweeps(*command, **other)
    assert refused.returncode == 2
    assert f"is the plug-in {name}, and its code is imported only if" in refused.stderr
    assert not (home.path / "other.npy").exists()
    for allowed in (("--plugin", name), ("--sha256", sha256)):
        scored = home.sweeps(*command, *allowed, **other)
        assert scored.returncode == 0, scored.stderr
    np.testing.assert_array_equal(np.load(home.path / "other.npy"), np.load(home.path / "scores.npy"))


def python(home: Any, code: str, *arguments: str) -> str:
    """Run code as a user's script in the folder of the sweeps; return what it prints last."""
    # The folder has a folder sweeps/, which would hide an editable install of the package.
    environment = home.environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=home.path,
        env=environment,
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1]

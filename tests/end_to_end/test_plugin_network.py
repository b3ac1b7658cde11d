"""The example plug-in: checked, swept in packs, interrupted, resumed, evaluated and diagnosed as by a user."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from sweeps.models import tensor_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugins"
SMALL = [
    "conv-digits.yaml",
    *("--set", "training.epochs=25"),
    *("--set", "search.model.code_size=null"),
    *("--set", "search.model.channels=null"),
    *("--set", "model.channels=4"),
    *("--set", "execution=packed"),
]


@pytest.fixture
def example(home: Any) -> Any:
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, home.path)
    return home


def test_contract_test_of_the_example_passes_in_its_folder(example: Any) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_conv_autoencoder.py"]
    done = subprocess.run(
        command, cwd=example.path, env=example.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    printed = example.run_json("check-plugin", "conv_autoencoder:ConvAutoencoder", "--set", "channels=3")
    assert printed["passed"]
    assert {check["status"] for check in printed["checks"]} == {"passed", "skipped"}
    refused = example.run_json("check-plugin", "conv_autoencoder:ConvAutoencoder", "--shape", "27,27", status=1)
    (failed,) = [check for check in refused["checks"] if check["status"] == "failed"]
    assert "height and width must be multiples of 4, not 27 and 27" in failed["detail"]


def test_plugin_network_that_does_not_fit_the_data_is_refused_before_the_sweep_starts(example: Any) -> None:
    rows = ["--set", "data={name: uniform, n_features: 84, n_samples: 200}", "--set", "objective.metric=valid/mse"]
    (issue, *_) = example.run_json("run", *SMALL, *rows, status=2)["errors"]
    assert "samples must be images, and are rows of 84 features" in issue
    (missing,) = example.run_json("run", *SMALL, "--set", "model.name=conv_autoencoders:Conv", status=2)["errors"]
    assert missing.startswith("model.name: conv_autoencoders must import, and raised ModuleNotFoundError")
    assert list(example.path.glob("sweeps/*")) == []


def test_sweep_of_a_plugin_network(example: Any, tmp_path: Path) -> None:
    whole = example.run_json("run", *SMALL, "--set", "name=whole")
    process = example.start("run", *SMALL, "--set", "name=cut", "--json")
    example.wait_until(process, lambda: len(list(example.path.glob("sweeps/cut-*/points/*/snapshot-00004.npz"))) == 4)
    process.send_signal(signal.SIGINT)
    cut = json.loads(process.communicate()[0])
    assert cut["state"] == "INTERRUPTED"
    resumed = example.run_json("resume", cut["sweep"])
    assert resumed["state"] == "FINISHED"
    measured = [
        {trial["trial"]: trial["metrics"] for trial in example.run_json("best", sweep, "--top", "9")["ranking"]}
        for sweep in (whole["sweep"], cut["sweep"])
    ]
    assert measured[0] == measured[1]  # dropout and noise draw the same as without the interruption

    best = whole["best"]["trial"]
    assert example.run_json("evaluate", whole["sweep"])["metrics"]["test/mse"] < 0.05
    assert example.run_json("diagnose", whole["sweep"])["trial"] == best
    artifacts = _artifacts(example.uri, whole["best"]["run_id"])
    assert {"loss_curve.png", "detailed"} <= artifacts
    images = {Path(name).name.partition("+")[0] for name in artifacts if name.startswith("images/")}
    assert images == {"reconstructions"}  # it has no filters to show

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = example.command("status", whole["sweep"], "--json")
    listed = subprocess.run(
        command, cwd=elsewhere, env=example.environment, capture_output=True, text=True, check=False
    )
    assert json.loads(listed.stdout)["state"] == "FINISHED"  # without the code of the plug-in

    (network,) = example.path.glob(f"sweeps/{whole['sweep']}/points/{best}/best.safetensors")
    values: dict[str, Any] = tensor_file.loads(network.read_bytes())
    values["model"]["name"] = "this:s"  # a module that prints when it is imported
    network.write_bytes(tensor_file.dumps(values))
    refused = example.sweeps("evaluate", whole["sweep"])
    assert refused.returncode == 2
    assert "holds the network of the plug-in this:s, whose code is run only for a sweep that names it" in refused.stderr
    assert "Zen" not in refused.stdout


def _artifacts(uri: str, run_id: str) -> set[str]:
    client = MlflowClient(uri)
    found = {artifact.path for artifact in client.list_artifacts(run_id)}
    return found | {artifact.path for artifact in client.list_artifacts(run_id, "images")}

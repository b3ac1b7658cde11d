"""A champion without this project: loaded and served over HTTP in an environment of mlflow, torch and numpy."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.evaluation import data_of
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.promote import promote
from sweeps.registry.promotion import Request
from sweeps.registry.scoring import score_by_alias
from sweeps.tracking.results import SweepResult

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[3]
INSTALL_SECONDS, START_SECONDS = 900, 600
NAMES = [*(f"reconstruction_{n}" for n in range(64)), *(f"code_{n}" for n in range(80)), "reconstruction_error"]
LOAD = """
import importlib.util, sys
import mlflow, numpy
assert not any(map(importlib.util.find_spec, ("sweeps", "pytorch_lightning", "ray")))
model = mlflow.pyfunc.load_model("models:/fresh@champion")
numpy.save(sys.argv[2], model.predict(numpy.load(sys.argv[1])).to_numpy())
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment with mlflow, torch and numpy, at the pinned versions."""
    folder = tmp_path_factory.mktemp("fresh")
    from sweeps.registry.packaging import pinned_requirements

    (folder / "requirements.txt").write_text("\n".join(pinned_requirements()))
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=INSTALL_SECONDS)
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", "--no-compile"]
    pip += ["-c", str(ROOT / "constraints.txt"), "-r", str(folder / "requirements.txt")]
    subprocess.run(pip, check=True, timeout=INSTALL_SECONDS, cwd=folder)
    return folder / "venv/bin"


@pytest.fixture
def champion(delivered: Callable[..., SweepResult]) -> SweepResult:
    result = delivered()
    promote(result.sweep, None, Request("fresh", first=True, force=True))  # its quality does not matter here
    return result


@pytest.fixture
def environment(server: Any) -> dict[str, str]:
    """The environment variables of the model's user: the server, and no unpickling."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {
        "MLFLOW_TRACKING_URI": server.uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@pytest.fixture
def raw(champion: SweepResult, tmp_path: Path) -> Path:
    """Raw test samples: whole numbers."""
    np.save(tmp_path / "raw.npy", data_of(champion).test.inputs[:5])
    return tmp_path / "raw.npy"


@pytest.fixture
def expected(raw: Path, server: Any, tmp_path: Path) -> Any:
    """The output of `sweeps score` for them."""
    score_by_alias(RegistryStore(server.uri), "fresh@champion", raw, tmp_path / "expected.npy")
    return np.load(tmp_path / "expected.npy")


def test_champion_loads_and_predicts_without_this_project_and_without_unpickling(
    fresh: Path, environment: dict[str, str], raw: Path, expected: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out.npy"
    command = [str(fresh / "python"), "-c", LOAD, str(raw), str(out)]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, timeout=START_SECONDS)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


@pytest.fixture
def address(fresh: Path, environment: dict[str, str], raw: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of the champion, served by the fresh environment in the folder of its samples."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(fresh / "mlflow"), "models", "serve", "-m", "models:/fresh@champion", "--env-manager", "local"]
    path = f"{fresh}:{environment['PATH']}"  # mlflow finds its server program there
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], env=environment | {"PATH": path}, stdout=log, stderr=log, cwd=raw.parent
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", server, tmp_path / "serve.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def test_served_champion_answers_over_http_with_the_same_numbers(address: str, raw: Path, expected: Any) -> None:
    body = json.dumps({"inputs": np.load(raw).tolist()}).encode()
    request = urllib.request.Request(  # noqa: S310 (our own server)
        f"{address}/invocations", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        predictions = json.load(answer)["predictions"]
    assert [list(row) for row in predictions] == [NAMES] * 5
    np.testing.assert_allclose([list(row.values()) for row in predictions], expected, atol=1e-5)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
            return
        except OSError:
            time.sleep(0.1)

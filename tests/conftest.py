"""What every test lives in: its own SWEEPS_HOME and tracking store, a real MLflow server, and no skips in CI."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

MAY_SKIP_IN_CI = ("gpu", "benchmark", "reproduction")
START_SECONDS = 200


class MlflowServer:
    """An MLflow server that can be stopped and started again on the same port and store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "mlflow.db"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.store}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill the server and its workers at once, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def _is_healthy(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()  # noqa: S310 (our own server)
        except (urllib.error.URLError, OSError):
            return False
        return True


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep each test's sweeps and runs to itself."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SWEEPS_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return home


@pytest.fixture
def real_mnist() -> Path:
    """The folder of real MNIST, named by SWEEPS_DATA_DIR."""
    folder = os.environ.get("SWEEPS_DATA_DIR")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("needs real MNIST: set SWEEPS_DATA_DIR to a folder that holds mnist/")
    return Path(folder)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(mlflow_server: MlflowServer) -> MlflowServer:
    """The server of the session, started again where the test before has stopped it."""
    if not mlflow_server.is_running:
        mlflow_server.start()
    return mlflow_server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI a test that skips has failed: what CI should run, it must run."""
    outcome = yield
    report = outcome.get_result()
    excused = any(item.get_closest_marker(marker) for marker in MAY_SKIP_IN_CI)
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail") and not excused:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"

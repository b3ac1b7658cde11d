"""What every test runs in: its own SWEEPS_HOME and tracking store, a real MLflow server, a proxy that fails some of its
requests, slow files first, and no skips in CI."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from mlflow import MlflowClient

MAY_SKIP_IN_CI = ("gpu", "benchmark", "reproduction")
START_SECONDS = 200

settings.register_profile("sweeps", deadline=None)  # no test asserts how long a case takes
settings.load_profile("sweeps")
# Also for sweeps that fixtures of a module run; the tests of reports switch them on.
os.environ["SWEEPS_REPORT"] = "off"


class MlflowServer:
    """An MLflow server that can be stopped and started again on the same port and store, a copy of `empty_store`."""

    def __init__(self, folder: Path, empty_store: Path) -> None:
        self.folder = folder
        self.store = shutil.copy(empty_store, folder / "mlflow.db")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.options: list[str] = []
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.store}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), *self.options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ
                | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
                | self.environment,
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


@dataclass
class Fault:
    """Which requests fail.

    Either request number `request`, counted from 1: if it `reaches` MLflow, its answer is lost; if not, it gets status
    503. Or a random `share` of all requests: they get status 500, and every second one of them has reached MLflow.
    """

    request: int | None = None
    reaches: bool = False
    share: float = 0.0
    asked: list[str] = field(default_factory=list)
    n_failed: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def decide(self, request: str) -> tuple[bool, bool]:
        """Return whether the next request fails and whether it reaches MLflow."""
        self.asked.append(request)
        if self.share:
            fails = self.chance.random() < self.share
            self.n_failed += fails
            return fails, not fails or self.n_failed % 2 == 0
        fails = len(self.asked) == self.request
        return fails, not fails or self.reaches


@contextmanager
def faulty_proxy(target: str) -> Iterator[tuple[str, Fault]]:
    """Run a proxy to an MLflow server that fails the requests of its `Fault`; yield its address and the fault."""
    fault = Fault()
    lock = threading.Lock()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            with lock:
                fails, reaches = fault.decide(f"{self.command} {self.path.partition('?')[0]}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, answer = self.ask(body) if reaches else (503, {}, b"{}")
            if fails and fault.share:
                status, headers, answer = 500, {}, b"planted"
            elif fails and reaches:
                self.close_connection = True  # the answer is lost
                self.connection.close()
                return
            self.send_response(status)
            for name in ("Content-Type", "Location"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def ask(self, body: bytes) -> tuple[int, Any, bytes]:
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            request = urllib.request.Request(  # noqa: S310 (our own server)
                target + self.path, body or None, headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 (http.server's names)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}", fault
        http.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def faulty() -> Callable[[str], Any]:
    """Return a context manager that runs a proxy to an MLflow server (see `faulty_proxy`)."""
    return faulty_proxy


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own SWEEPS_HOME and tracking store."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SWEEPS_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return home


@pytest.fixture(scope="session")
def real_mnist() -> Path:
    """The folder of SWEEPS_DATA_DIR, which holds the real MNIST."""
    folder = os.environ.get("SWEEPS_DATA_DIR")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("needs real MNIST: set SWEEPS_DATA_DIR to a folder that holds mnist/")
    return Path(folder)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking store without runs, to copy: MLflow takes seconds to create one. pytest-xdist's workers share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # a worker has a subfolder of the test run's folder
    path = folder / "empty-mlflow.db"
    with FileLock(folder / "empty-mlflow.lock"):
        if not path.exists():
            MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), empty_store)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server_with_accounts(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[MlflowServer]:
    """A server with MLflow's own accounts; its user `admin` has the password `a-long-secret`."""
    folder = tmp_path_factory.mktemp("accounts")
    server = MlflowServer(folder, empty_store)
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/users.db\nadmin_username = admin\n"
        "admin_password = a-long-secret\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    server.options = ["--app-name", "basic-auth"]
    server.environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only-for-this-test",
    }
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(mlflow_server: MlflowServer) -> MlflowServer:
    """The session's server, restarted if the previous test stopped it."""
    if not mlflow_server.is_running:
        mlflow_server.start()
    return mlflow_server


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first: the many short files at the end keep all workers busy until the last one.

    pytest-xdist gives whole files to its workers, in this order (`--no-loadscope-reorder`). A file's own order stays.
    """
    ranks: dict[Path, tuple[bool, bool]] = {}
    for item in items:
        is_cluster, is_slow = ranks.get(item.path, (False, False))
        ranks[item.path] = (
            is_cluster or item.get_closest_marker("cluster") is not None,
            is_slow or item.get_closest_marker("slow") is not None,
        )
    items.sort(key=lambda item: ranks[item.path], reverse=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests have measured and passed to `record_property`."""
    for report in terminalreporter.getreports("passed"):
        for what, figure in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid}: {what}: {figure:.1f}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Fail tests that skip in CI, where everything that they need must be available."""
    outcome = yield
    report = outcome.get_result()
    excused = any(item.get_closest_marker(marker) for marker in MAY_SKIP_IN_CI)
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail") and not excused:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"

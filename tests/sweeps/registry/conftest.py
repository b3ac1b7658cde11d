"""Sweeps that MLflow has, to promote from, and a way to MLflow that fails when told to."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sweeps.config import SweepConfig
from sweeps.folder import find
from sweeps.results import SweepResult, load_result
from sweeps.tracking.journal import Journal
from sweeps.tracking.shipper import sync

# A code that narrows nothing must beat the training mean, which three epochs on digits do.
EASY_TO_PASS = {
    "model": {"name": "shallow", "hidden_size": 80, "activation": "elu"},
    "training": {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 0},
}


@pytest.fixture
def delivered(
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
    small_sweep: Callable[..., SweepConfig],
    run_here: Callable[[SweepConfig], SweepResult],
) -> Callable[..., SweepResult]:
    """Run a sweep, by default of two epochs on digits, without Ray, and deliver it to a real MLflow server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)

    def run(config: SweepConfig | None = None, **sections: Any) -> SweepResult:
        result = run_here(config or small_sweep(**(EASY_TO_PASS | sections)))
        folder = find(result.sweep)
        with Journal.open(folder.journal) as journal:
            status = sync(journal, server.uri, folder.path, patience_seconds=60)
        assert (status.n_pending, status.n_refused) == (0, 0), status
        return load_result(folder)

    return run


@dataclass
class Fault:
    """Which request fails, counted from 1, and whether it reaches MLflow before its answer is lost."""

    request: int | None = None
    reaches: bool = False
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def faulty() -> Callable[[str], Any]:
    """Put a proxy before an MLflow server, which fails the request that its `Fault` names."""

    @contextmanager
    def proxy(target: str) -> Iterator[tuple[str, Fault]]:
        fault = Fault()

        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                fault.asked.append(f"{self.command} {self.path.partition('?')[0]}")
                fails = len(fault.asked) == fault.request
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, answer = (503, {}, b"{}")
                if fault.reaches or not fails:
                    status, headers, answer = self.ask(body)
                if fails and fault.reaches:
                    self.close_connection = True  # the answer is lost on its way
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
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as http:
            thread = threading.Thread(target=http.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{http.server_address[1]}", fault
            http.shutdown()
            thread.join()

    return proxy

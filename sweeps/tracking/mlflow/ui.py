"""The MLflow UI for a store, served while the command runs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from sweeps.errors import SweepError, TrackingError
from sweeps.storage.layout import all_folders
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.mlflow.uri import without_credentials

HOST = "127.0.0.1"
# Long, for a machine that is busy with trials; a server that ends is reported at once.
START_SECONDS = 300.0


def serve(uri: str, port: int, announce: Callable[[str], None]) -> int:
    """Serve the store at `uri` until the server ends or is interrupted; return its exit status.

    `announce` gets the address once the server answers. Raises TrackingError if the port is taken or the server does
    not start.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(
                f"port {port} must be free for the MLflow UI, and is taken: choose another with --port"
            ) from error
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    # The server's job runner evaluates language models: seven processes that are not needed here.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | os.environ
    server = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, env=environment)
    address = f"http://{HOST}:{port}"
    # SIGTERM works like Ctrl-C: it ends the server with this process.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _wait_until_healthy(server, address)
        announce(address)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.terminate()
        server.wait()


def newest_experiment(uri: str) -> str | None:
    """Return the experiment id of the newest sweep here that has runs in the store at `uri`; None if there is none."""
    store = without_credentials(uri)
    for folder in reversed(all_folders()):
        with suppress(SweepError), read_journal(folder) as journal:  # `sweeps list` reports an unreadable one
            experiment_id = journal.delivery.experiment_id()
            if experiment_id and journal.delivery.store() == store:
                return experiment_id
    return None


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingError(
                f"the MLflow server must start, and ended with status {server.returncode}: see its output above"
            )
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()  # noqa: S310 (our own loopback address)
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise TrackingError(f"the MLflow server must answer within {START_SECONDS:.0f} s, and does not: try again")

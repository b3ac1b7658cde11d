"""The MLflow UI on the sweep's store, served for as long as the command runs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from sweeps.errors import TrackingError

HOST = "127.0.0.1"
# On a machine that is busy with trials; a server that ends before is told at once.
START_SECONDS = 300.0


def serve(uri: str, port: int, announce: Callable[[str], None]) -> int:
    """Serve the store at `uri` until the server ends or is interrupted; gives its exit status.

    `announce` gets the address once the server answers. Raises TrackingError where the port is taken or the server does
    not come up.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(
                f"port {port} must be free for the MLflow UI; it is taken: give another by --port"
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
    # The server's job runner is for evaluating language models: seven processes that autoencoders have no use for.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | os.environ
    server = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, env=environment)
    address = f"http://{HOST}:{port}"
    # SIGTERM ends this process as Ctrl-C does: with the server, not before it.
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


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingError(
                f"the MLflow server must start; it ended with status {server.returncode}, as told above"
            )
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()  # noqa: S310 (our own loopback address)
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise TrackingError(f"the MLflow server must answer within {START_SECONDS:.0f} s; it does not")

"""The MLflow UI for a store, served while the command runs."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from sweeps.errors import SweepError, TrackingError
from sweeps.storage.layout import SweepFolder, all_folders
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.mlflow.uri import sqlite_path, tracking_uri, without_credentials
from sweeps.tracking.results import SweepResult, load_result

HOST = "127.0.0.1"
# Long, for a machine that is busy with trials; a server that ends is reported at once.
START_SECONDS = 300.0


def serve(uri: str, port: int, announce: Callable[[str, str], None]) -> int:
    """Serve the store at `uri` until the server ends or is interrupted; return its exit status.

    `announce` gets the address and the token that the server requires, once it answers. Raises TrackingError if the
    port is taken or the server does not start.
    """
    token = secrets.token_urlsafe(32)
    with _listen(port) as listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}"  # port 0 means any free one
        server = _start(listening, {"uri": uri, "token": token})
    # SIGTERM works like Ctrl-C: it ends the server with this process.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _wait_until_healthy(server, address)
        announce(address, token)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.terminate()
        server.wait()


def with_token(link: str, token: str) -> str:
    """Return a link to a page of the UI that also hands over the token; the browser gets a cookie for it."""
    address, _, page = link.partition("#")
    return f"{address}?token={token}#{page}"


def _listen(port: int) -> socket.socket:
    """Return a socket that listens: from here on, no other process can answer in the server's place."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise TrackingError(
            f"port {port} must be free for the MLflow UI, and is taken: choose another with --port"
        ) from error
    return listening


def _start(listening: socket.socket, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the server process; it gets its settings through a pipe, since other users can read command lines."""
    server = subprocess.Popen(
        [sys.executable, "-m", "sweeps.tracking.mlflow.ui_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[listening.fileno()],
    )
    assert server.stdin is not None
    with server.stdin:
        server.stdin.write(json.dumps(settings | {"socket": listening.fileno()}).encode())
    return server


def newest_sweep(uri: str | None = None) -> SweepFolder | None:
    """Return the newest sweep here that has runs in the store at `uri`, by default in any; None if there is none."""
    store = None if uri is None else without_credentials(uri)
    for folder in reversed(all_folders()):
        with suppress(SweepError), read_journal(folder) as journal:  # `sweeps list` reports an unreadable one
            if journal.delivery.experiment_id() and store in (None, journal.delivery.store()):
                return folder
    return None


def store_here() -> tuple[str, SweepResult | None]:
    """Return the store to show if no sweep is named, and the newest sweep with runs in it, if any.

    The store is MLFLOW_TRACKING_URI, else MLflow's default in this folder if the file is there, else that of the newest
    sweep. Raises TrackingError if there is none: MLflow's server would create an empty one.
    """
    uri = tracking_uri()
    path = sqlite_path(uri)
    is_there = bool(os.environ.get("MLFLOW_TRACKING_URI")) or (path is not None and path.exists())
    newest = newest_sweep(uri if is_there else None)
    result = None if newest is None else load_result(newest)
    if is_there:
        return uri, result
    if result is None:
        raise TrackingError(
            "there must be a tracking store to show: MLFLOW_TRACKING_URI is not set, this folder has no mlflow.db, and "
            "no sweep here has runs in MLflow. Run a sweep first, or set MLFLOW_TRACKING_URI"
        )
    return store_of_sweep(result), result


def store_of_sweep(result: SweepResult) -> str:
    """Return the URI of the store that has a sweep's runs; TrackingError if it has none, or the file is gone.

    The credentials come from MLFLOW_TRACKING_URI if that names the same store: no sweep records them.
    """
    if result.store is None or result.record.experiment_id is None:
        raise TrackingError(
            f"{result.sweep} must be in MLflow to be shown, and nothing of it is delivered yet: "
            f"`sweeps sync {result.sweep}` delivers it"
        )
    path = sqlite_path(result.store)
    if path is not None and not path.exists():
        raise TrackingError(
            f"the MLflow store {path} of {result.sweep} must exist, and does not: move it back, or set "
            f"MLFLOW_TRACKING_URI to another store and run `sweeps sync {result.sweep}`"
        )
    current = tracking_uri()
    return current if without_credentials(current) == result.store else result.store


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
        except OSError:  # not yet, or no more
            time.sleep(0.1)
    raise TrackingError(f"the MLflow server must answer within {START_SECONDS:.0f} s, and does not: try again")

"""The connection to MLflow: how a client is opened, how long a request may last, and what its errors mean."""

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sweeps.storage.private_files import make_folder, open_file
from sweeps.tracking.mlflow.uri import sqlite_path, without_credentials

# MLflow itself would retry a request for minutes; the shipper retries instead, and must be able to stop.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_SHORT_REASONS = {
    r"connection refused": "refuses connections",
    r"timed? ?out": "does not answer in time",
    r"name or service not known|failed to resolve|name resolution": "has a name that is not known here",
    r"connection reset|connection aborted|remotedisconnected": "closed the connection",
    r"too many (\d+) error responses": "answers with errors",
    r"database is locked": "is locked by another process",
    r"(redirects to \S+?)[,.]?(?:\s|$)": r"\1, and credentials must not follow a redirect",
    r"(sends more than \d+ MB)": r"\1 in one answer",
}
# The longest pause of urllib3 between two attempts at a request.
_LONGEST_PAUSE_SECONDS = 120.0


class Refused(Exception):
    """MLflow refuses a request for good: a retry is useless."""


class Unavailable(Exception):
    """MLflow did not carry out a request for now. If it `answered`, another request may still succeed."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


@contextmanager
def translated_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into Refused or Unavailable, without the original, which may contain credentials."""
    from mlflow.exceptions import MlflowException, RestException
    from requests import ConnectionError, Timeout  # noqa: A004
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise Refused(describe_error(error, uri)) from None
        answered = isinstance(error, RestException) or "error responses" in str(error)
        raise Unavailable(describe_error(error, uri), answered=answered) from None
    except (ConnectionError, Timeout, SQLAlchemyError) as error:
        raise Unavailable(describe_error(error, uri), answered=False) from None
    except OSError as error:  # The server, or the disk of a SQLite store, cannot write a file.
        raise Unavailable(describe_error(error, uri), answered=True) from None


def describe_error(error: Exception, uri: str) -> str:
    """Describe an error of MLflow or of the connection to it, in one line and without credentials."""
    text = without_credentials(" ".join(str(error).split()))
    for pattern, reason in _SHORT_REASONS.items():
        if found := re.search(pattern, text, re.IGNORECASE):
            return f"{without_credentials(uri)} {found.expand(reason)}"
    return text[:300]


def set_environment() -> None:
    """Set MLflow's environment variables that are unset; MLflow reads some of them when it is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def open_client(uri: str) -> Any:
    """Return an MLflow client for a store, and create its tables if it is new; raises MLflow's own errors."""
    set_environment()
    from mlflow import MlflowClient

    from sweeps.tracking.mlflow.bounded_requests import bound_requests

    bound_requests()

    # Errors are raised and shown in one line; MLflow would log them, too, over the live view of the terminal.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    with _lock_new_store(uri):
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def longest_request_seconds(uri: str) -> float:
    """Return how long a request to a store may take before MLflow gives up, retries and pauses included.

    MLflow sets no limit for a database. SQLite waits five seconds for a lock; for other databases, a connection is
    taken for dead after ten minutes.
    """
    from mlflow import environment_variables

    settings: Any = environment_variables
    if sqlite_path(uri) is not None:
        return 30.0
    if not uri.startswith("http"):
        return 600.0
    n_retries = settings.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
    factor, jitter = (
        settings.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.get(),
        settings.MLFLOW_HTTP_REQUEST_BACKOFF_JITTER.get(),
    )
    pauses = sum(min(_LONGEST_PAUSE_SECONDS, factor * 2.0**attempt) + jitter for attempt in range(n_retries))
    return float(settings.MLFLOW_HTTP_REQUEST_TIMEOUT.get() * (n_retries + 1) + pauses)


@contextmanager
def _lock_new_store(uri: str) -> Iterator[None]:
    """Let one process at a time create the tables of a SQLite store: MLflow cannot do so concurrently."""
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    make_folder(path.parent)
    with ExitStack() as lock:
        # A folder that is not ours to write to has no new store.
        with suppress(PermissionError):
            # Beside the store, not in the shared temporary folder, where anybody could take its name.
            file = open_file(path.with_name(f"{path.name}.lock"), os.O_WRONLY | os.O_CREAT)
            lock.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileExistsError, PermissionError):
            os.close(open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))  # private; MLflow would make it readable
        yield

"""The connection to MLflow: how a client is opened, how long a request may last, and what its errors mean."""

import fcntl
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from sweeps.tracking.mlflow.uri import sqlite_path, without_credentials

# MLflow itself would retry a request for minutes; the shipper retries, and must be able to stop.
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
}
# Of urllib3's, between two attempts at a request.
_LONGEST_PAUSE_SECONDS = 120.0


class Refused(Exception):
    """MLflow will never take this: trying again is of no use."""


class Unavailable(Exception):
    """MLflow did not take this now. `answered`: it did so by an answer, so another request may fare better."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


@contextmanager
def translated_errors(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises into one of our two; without the original, whose text may hold credentials."""
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
    except OSError as error:  # A file that the server, or the disk beside a SQLite store, does not take.
        raise Unavailable(describe_error(error, uri), answered=True) from None


def describe_error(error: Exception, uri: str) -> str:
    """Tell what MLflow, or the way to it, has raised: in one line, without credentials."""
    text = without_credentials(" ".join(str(error).split()))
    for pattern, reason in _SHORT_REASONS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return f"{without_credentials(uri)} {reason}"
    return text[:300]


def set_environment() -> None:
    """Set what MLflow is to do in this process, where nobody has; some of it counts when MLflow is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def open_client(uri: str) -> Any:
    """Give MLflow's client for a store, whose tables are made where it is new; raises what MLflow raises."""
    set_environment()
    from mlflow import MlflowClient

    # What goes wrong is raised and told in one line; MLflow would log it besides, over whatever is on the terminal.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    with _sole_initialisation(uri):
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def longest_request_seconds(uri: str) -> float:
    """Give how long a request to a store may last before MLflow gives it up, repetitions and pauses included.

    A database has no such limit of MLflow's. SQLite waits five seconds for a lock; of a statement to another one that
    takes longer than ten minutes, its connection is taken for dead.
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
def _sole_initialisation(uri: str) -> Iterator[None]:
    """Let one process at a time make the tables of a new SQLite store: MLflow's own making of them cannot share."""
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"sweeps-{os.getuid()}-{sha256(bytes(path.resolve())).hexdigest()[:16]}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""The tracking URI: which store it names, whether that answers, and links to its pages."""

import os
import re
import socket
from base64 import b64encode
from http import HTTPStatus
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from sweeps.errors import TrackingError

_SQLITE = "sqlite:///"
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
# Without this, MLflow 3.17 opens an experiment in its GenAI pages, which hide runs.
_WORKFLOW = "workflowType=machine_learning"
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
# One experiment at most.
_PROBE_BYTES = 2**24
_OTHER_CREDENTIALS = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_CLIENT_CERT_PATH")


def tracking_uri(uri: str | None = None) -> str:
    """Return the tracking URI: `uri`, else MLFLOW_TRACKING_URI, else MLflow's default, a SQLite file in this folder.

    A relative SQLite path is made absolute, since another process may open it from another folder.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db"
    path = sqlite_path(uri)
    if path is None:
        return uri
    _, _, query = uri.partition("?")
    return f"{_SQLITE}{path}" + (f"?{query}" if query else "")


def existing_store() -> str:
    """Return the URI of the store to read from, as `tracking_uri` does. Raises TrackingError for a file that is absent.

    MLflow would create it, empty.
    """
    uri = tracking_uri()
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        raise TrackingError(
            f"there must be an MLflow store at {path}, and there is none: run this in the folder where the sweep ran, "
            "or set MLFLOW_TRACKING_URI"
        )
    return uri


def sqlite_path(uri: str) -> Path | None:
    """Return the absolute path of a SQLite store; None for any other store."""
    if not uri.startswith(_SQLITE):
        return None
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]).absolute()


def artifact_location(uri: str, experiment: str) -> str | None:
    """Return where an experiment's artifacts are stored: beside a SQLite store; None leaves it to the server.

    For SQLite, MLflow itself would use the working folder of the first process that writes.
    """
    path = sqlite_path(uri)
    if path is None:
        return None
    folder = re.sub(r"[^\w.-]+|^\.+", "-", experiment)  # one folder of its own, even for a name like ".."
    return (path.parent / "mlartifacts" / folder).as_uri()


def without_credentials(text: str) -> str:
    """Remove users, passwords and tokens from a URI, or from a text that contains URIs."""
    text = re.sub(r"(\w://)[^/\s'\"]*@", r"\1", text)
    text = re.sub(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+", r"\1=...", text)
    for secret in filter(None, map(os.environ.get, _SECRETS)):
        text = text.replace(secret, "...")
    return text


def experiment_link(address: str, experiment_id: str) -> str:
    """Return the page of an experiment's runs on the MLflow server at `address`."""
    return f"{_root(address)}#/experiments/{experiment_id}/runs?{_WORKFLOW}"


def run_link(address: str, experiment_id: str, run_id: str) -> str:
    """Return the page of one run on the MLflow server at `address`; "" for a link relative to the server."""
    return f"{_root(address)}#/experiments/{experiment_id}/runs/{run_id}?{_WORKFLOW}"


def check_tracker(uri: str, timeout_seconds: float = 15.0) -> None:
    """Check that the tracking store answers and accepts the credentials; TrackingError, in one line, if not.

    It does not import MLflow, so it is quick.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        _check_server(uri, timeout_seconds)
    elif scheme == "sqlite":
        _check_sqlite(uri)
    elif (database := scheme.partition("+")[0]) in _DATABASE_PORTS:
        _check_port(uri, _DATABASE_PORTS[database], timeout_seconds)
    elif scheme in ("", "file"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI must be a server (http://...) or a database (sqlite:///...), not {uri!r}: MLflow no "
            f"longer writes plain folders. Set it to {_SQLITE}{Path(unquote(urlsplit(uri).path)).absolute()}/mlflow.db"
        )
    else:
        schemes = ", ".join(("http", "https", "sqlite", *_DATABASE_PORTS))
        raise TrackingError(
            f"MLFLOW_TRACKING_URI must begin with one of {schemes}, not {scheme!r}: correct it or unset it"
        )


def _root(address: str) -> str:
    return f"{without_credentials(address).rstrip('/')}/" if address else ""


def _check_server(uri: str, timeout_seconds: float) -> None:
    from requests import RequestException
    from requests.exceptions import InvalidHeader

    from sweeps.bounded_http import Limits, RedirectRefused, bounded_session, reason

    address = without_credentials(uri)
    # Not /health, which ignores credentials and answers even if the database of the server is down.
    url = f"{address.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1"
    headers = authorization(urlsplit(uri))
    advice = "start the server or correct MLFLOW_TRACKING_URI; --offline starts a sweep without it"
    try:
        with bounded_session(Limits(answer_bytes=_PROBE_BYTES)) as session:
            answer = session.get(url, headers=headers, timeout=timeout_seconds, verify=trusted_certificates())
    except RedirectRefused as error:
        raise TrackingError(
            f"the MLflow server at {address} {error}, and credentials must not follow a redirect: set "
            "MLFLOW_TRACKING_URI to the address of the server itself"
        ) from None
    except InvalidHeader:  # the message of the error contains the header
        raise TrackingError(
            "MLFLOW_TRACKING_TOKEN must consist of printable characters, without line breaks: correct it"
        ) from None
    except (RequestException, OSError, ValueError) as error:
        why = without_credentials(reason(error))
        raise TrackingError(f"the MLflow server at {address} does not answer ({why}): {advice}") from None
    _check_status(answer.status_code, address, advice)


def _check_status(status: int, address: str, advice: str) -> None:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if not any(map(os.environ.get, _OTHER_CREDENTIALS)):
            raise TrackingError(
                f"the MLflow server at {address} does not accept the credentials (status {status}): "
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
    elif not 200 <= status < 300:
        raise TrackingError(f"the MLflow server at {address} must answer, and returns status {status}: {advice}")


def authorization(uri: SplitResult) -> dict[str, str]:
    """Return the authorization header of MLflow's client, for the methods that need no library."""
    user = unquote(uri.username or "") or os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = unquote(uri.password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def trusted_certificates() -> str | bool:
    """Return the certificates to trust, as MLflow's client does."""
    is_insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    return os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not is_insecure


def _check_sqlite(uri: str) -> None:
    path = sqlite_path(uri)
    if path is None:
        raise TrackingError(f"MLFLOW_TRACKING_URI must be {_SQLITE} and a path, not {uri!r}")
    folder = next(parent for parent in path.parents if parent.exists())
    can_write = folder.is_dir() and os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    if path.is_dir() or not can_write:
        raise TrackingError(
            f"the MLflow store {path} cannot be written: point MLFLOW_TRACKING_URI to a file in a folder of yours"
        )
    if path.exists() and path.stat().st_size and not _is_sqlite(path):
        raise TrackingError(
            f"the MLflow store {path} must be a SQLite database, but is another file: choose another path"
        )


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _check_port(uri: str, default_port: int, timeout_seconds: float) -> None:
    parts = urlsplit(uri)
    host, port = parts.hostname or "localhost", parts.port or default_port
    try:
        socket.create_connection((host, port), timeout_seconds).close()
    except OSError as error:
        raise TrackingError(
            f"the database of MLFLOW_TRACKING_URI at {host}:{port} does not answer ({error}): start it or correct the "
            "URI; --offline starts a sweep without it"
        ) from None

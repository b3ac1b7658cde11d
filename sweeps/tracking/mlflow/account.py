"""The account of a tracking server that this process works as, if the server has accounts and checks them."""

import secrets
from base64 import b64encode
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from sweeps.errors import TrackingError
from sweeps.tracking.mlflow.uri import authorization, trusted_certificates, without_credentials

_TIMEOUT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 2**16
_UNAUTHORISED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def account_name(uri: str) -> str | None:
    """Return the user name that the tracking server at `uri` has authenticated; None if it has no accounts.

    A name counts only if the server rejects the same user with another password: a server that accepts any password
    knows nobody. Raises TrackingError if it does not answer, or rejects the credentials.
    """
    if not uri.startswith(("http://", "https://")):
        return None
    sent = authorization(urlsplit(uri))
    return _account_name(without_credentials(uri).rstrip("/"), sent["Authorization"]) if sent else None


@lru_cache(maxsize=8)
def _account_name(address: str, credentials: str) -> str | None:
    status, answer = _current_user(address, credentials)
    if status in _UNAUTHORISED:
        raise TrackingError(
            f"the MLflow server at {address} must accept the credentials, and returns status {status}: correct "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    user = answer.get("user") if status == HTTPStatus.OK else None
    name = user.get("username") if isinstance(user, dict) else None
    if not isinstance(name, str) or not name:
        return None
    return name if _current_user(address, _wrong(credentials, name))[0] in _UNAUTHORISED else None


def _wrong(credentials: str, name: str) -> str:
    """Return credentials of the same kind with a random secret."""
    secret = secrets.token_urlsafe(24)
    if credentials.startswith("Basic "):
        return f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"
    return f"Bearer {secret}"


def _current_user(address: str, credentials: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object with which the server answers who the user is."""
    import requests

    from sweeps.bounded_http import AnswerTooLarge, Limits, RedirectRefused, bounded_session, reason

    url, headers = f"{address}/api/2.0/mlflow/users/current", {"Authorization": credentials}
    try:
        with bounded_session(Limits(answer_bytes=_MAX_ANSWER_BYTES)) as session:
            response = session.get(url, headers=headers, timeout=_TIMEOUT_SECONDS, verify=trusted_certificates())
    except (RedirectRefused, AnswerTooLarge):  # not an answer of a server with accounts
        return HTTPStatus.NOT_FOUND, {}
    except (requests.RequestException, OSError) as error:
        raise _no_answer(address, without_credentials(reason(error))) from None
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _no_answer(address, f"status {response.status_code}")
    try:
        answer = response.json()
    except (ValueError, RecursionError):  # a page, or JSON that nests without end: the server has no accounts
        answer = {}
    return response.status_code, answer if isinstance(answer, dict) else {}


def _no_answer(address: str, why: str) -> TrackingError:
    return TrackingError(
        f"the MLflow server at {address} must say which account this is, and does not ({why}): try again"
    )

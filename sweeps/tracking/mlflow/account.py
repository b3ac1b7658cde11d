"""The account of a tracking server that this process works as, if the server has accounts and checks them."""

import json
import secrets
import ssl
from base64 import b64encode
from functools import lru_cache
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from sweeps.errors import TrackingError
from sweeps.tracking.mlflow.uri import authorization, tls_context, without_credentials

_TIMEOUT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 2**16
_UNAUTHORISED = (401, 403)


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
    user = answer.get("user") if status == 200 else None
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
    request = Request(f"{address}/api/2.0/mlflow/users/current", headers={"Authorization": credentials})  # noqa: S310
    opener = build_opener(HTTPSHandler(context=_tls(address)), _NoRedirect())
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            answer = json.loads(response.read(_MAX_ANSWER_BYTES))
    except HTTPError as error:
        error.close()
        if error.code >= 500:
            raise _no_answer(address, f"status {error.code}") from None
        return error.code, {}
    except ValueError:  # a page, not JSON: the server has no accounts
        return 200, {}
    except (HTTPException, OSError) as error:
        raise _no_answer(address, without_credentials(str(getattr(error, "reason", error)))) from None
    return 200, answer if isinstance(answer, dict) else {}


def _tls(address: str) -> ssl.SSLContext | None:
    return tls_context() if address.startswith("https://") else None


def _no_answer(address: str, reason: str) -> TrackingError:
    return TrackingError(
        f"the MLflow server at {address} must answer which account this is, and does not ({reason}): try again"
    )


class _NoRedirect(HTTPRedirectHandler):
    """Follow no redirect: the credentials are for this server only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request, so that a redirect is an HTTPError of its status."""

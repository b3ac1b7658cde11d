"""The API server of a Ray cluster, to which sweeps are submitted: whether it answers, lets us in, and fits."""

import json
import os
from http import HTTPStatus
from http.client import HTTPException
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sweeps.cluster.authentication import HOW_TO_SET, PROBE_TIMEOUT_SECONDS, Token, find_token, send_token
from sweeps.errors import ClusterError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
_UNAUTHORISED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def api_server(address: str | None) -> str | None:
    """The API server that a person names, or RAY_API_SERVER_ADDRESS does."""
    return (address or os.environ.get(ADDRESS_VARIABLE) or "").rstrip("/") or None


def connect(address: str | None) -> "JobSubmissionClient":
    """A client of the Jobs API at `address`, or at RAY_API_SERVER_ADDRESS.

    Raises ClusterError, in seconds, with what to set: no address, no answer, a missing or wrong token, another Ray.
    """
    url = _checked(api_server(address))
    if _asks_for_a_token(url):
        token = find_token()
        if token is None:
            raise ClusterError(f"the Ray cluster at {url} asks for a token, and there is none here: {HOW_TO_SET}")
        _check_version(url, _get(url, "/api/version", token))
        send_token()
    else:
        _check_version(url, _get(url, "/api/version", None))
    from ray.job_submission import JobSubmissionClient

    return JobSubmissionClient(url)


def _checked(url: str | None) -> str:
    if url is None:
        raise ClusterError(f"--address or {ADDRESS_VARIABLE} must name the cluster's API server: http://HOST:8265")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClusterError(f"the API server's address must be http://HOST:8265 or https://HOST, not {url!r}")
    if parts.username or parts.password:
        raise ClusterError("the API server's address must hold no user or password: Ray takes a token instead")
    return url


def _asks_for_a_token(url: str) -> bool:
    """What the server itself says; one that is too old to be asked wants none."""
    try:
        return bool(_get(url, "/api/authentication_mode", None).get("authentication_mode") == "token")
    except _NotFound:
        return False


class _NotFound(Exception):
    """The server has no such page."""


def _get(url: str, path: str, token: Token | None) -> dict[str, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token.value}"}
    request = Request(f"{url}{path}", headers=headers)  # noqa: S310 (the scheme is http or https)
    try:
        with urlopen(request, timeout=PROBE_TIMEOUT_SECONDS) as answer:  # noqa: S310
            found = json.load(answer)
    except HTTPError as error:
        error.close()
        if error.code in _UNAUTHORISED and token is not None:
            raise ClusterError(
                f"the Ray cluster at {url} does not take the token of {token.source}: {HOW_TO_SET}"
            ) from None
        if error.code == HTTPStatus.NOT_FOUND:
            raise _NotFound from None
        raise ClusterError(f"the Ray cluster at {url} answers with status {error.code}: mend the address") from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"the Ray cluster at {url} must answer; it does not ({reason}): start the cluster, or mend the address"
        ) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ClusterError(f"{url} must be a Ray cluster's API server, and answers as something else: mend the address")
    return found


def _check_version(url: str, answer: dict[str, Any]) -> None:
    """ClusterError where the cluster's Ray is not of the series that this package is made for: ours."""
    theirs, ours = str(answer.get("ray_version")), version("ray")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise ClusterError(
            f"the Ray cluster at {url} must run Ray {'.'.join(ours.split('.')[:2])}, as this environment does, not "
            f"{theirs}: install the same version on both sides"
        )

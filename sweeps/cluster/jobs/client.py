"""Connect to the API server of a Ray cluster, after checks of its address, certificate, token and Ray version."""

import os
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sweeps.cluster.authentication import HOW_TO_SET, PROBE_TIMEOUT_SECONDS, Token, find_token
from sweeps.cluster.jobs.transport import HEADERS_VARIABLE, VERIFY_VARIABLE, Transport, transport_from_environment
from sweeps.errors import ClusterError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient
    from requests import Response

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
# The probes ask for a few words.
_PROBE_BYTES = 2**20
_UNAUTHORISED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def api_server(address: str | None) -> str | None:
    """Return the API server at `address`, or at RAY_API_SERVER_ADDRESS; None if neither is set."""
    return (address or os.environ.get(ADDRESS_VARIABLE) or "").rstrip("/") or None


def connect(address: str | None) -> "JobSubmissionClient":
    """Return a client of the Jobs API at `address`, or at RAY_API_SERVER_ADDRESS.

    Raises ClusterError within seconds if there is no address, no answer, no trusted certificate, no valid token, or
    another version of Ray; the message says what to set.
    """
    url, transport = _check_url(api_server(address)), transport_from_environment()
    token = None
    if _requires_token(url, transport):
        token = find_token()
        if token is None:
            raise ClusterError(f"the Ray cluster at {url} requires a token, and none is set: {HOW_TO_SET}")
    _check_version(url, _get(url, "/api/version", transport, token))
    from sweeps.cluster.jobs.bounded_client import BoundedClient

    return BoundedClient(url, headers=transport.headers(token), verify=transport.verify)


def _check_url(url: str | None) -> str:
    if url is None:
        raise ClusterError(
            f"--address (address= in Python) or {ADDRESS_VARIABLE} must name the cluster's API server: http://HOST:8265"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClusterError(f"the API server's address must be http://HOST:8265 or https://HOST, not {url!r}")
    if parts.username or parts.password:
        raise ClusterError("the API server's address must not contain a user or password: Ray uses a token")
    return url


def _requires_token(url: str, transport: Transport) -> bool:
    """Ask the server whether it requires a token; one too old to answer does not."""
    return _get(url, "/api/authentication_mode", transport, None).get("authentication_mode") == "token"


def _get(url: str, path: str, transport: Transport, token: Token | None) -> dict[str, Any]:
    """Return the JSON object at a path; an empty one if the server has no such path."""
    answer = _ask(f"{url}{path}", url, transport.headers(token), transport.verify)
    if answer.status_code in _UNAUTHORISED and token is not None:
        raise ClusterError(f"the Ray cluster at {url} rejects the token of {token.source}: {HOW_TO_SET}")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return {}
    if answer.status_code != HTTPStatus.OK:
        raise ClusterError(
            f"the Ray cluster at {url} must answer with status 200, not {answer.status_code}: correct the address, or "
            f"set {HEADERS_VARIABLE} to the headers that a proxy in front of it requires"
        )
    try:
        found = answer.json()
    except (ValueError, RecursionError):  # a page, or JSON that nests without end
        found = None
    if not isinstance(found, dict):
        raise ClusterError(_not_ray(url))
    return found


def _ask(page: str, url: str, headers: dict[str, str], verify: str | bool) -> "Response":
    """Return the response to a GET; uses the HTTP library of Ray's client, which trusts the same certificates."""
    import requests

    from sweeps.bounded_http import Limits, RedirectRefused, bounded_session, reason

    try:
        with bounded_session(Limits(answer_bytes=_PROBE_BYTES)) as session:
            return session.get(page, headers=headers, verify=verify, timeout=PROBE_TIMEOUT_SECONDS)
    except RedirectRefused as error:
        raise ClusterError(
            f"the Ray cluster at {url} {error}, and credentials must not follow a redirect: set the address to that of "
            "the cluster itself"
        ) from None
    except requests.exceptions.SSLError as error:
        raise ClusterError(
            f"the Ray cluster at {url} has no trusted certificate ({reason(error)}): set "
            f"{VERIFY_VARIABLE} to a file with the certificate of the authority that signed it"
        ) from None
    except requests.exceptions.InvalidHeader:  # the message of the error contains the header
        raise ClusterError(
            f"the token and {HEADERS_VARIABLE} must consist of printable characters, without line breaks: correct them"
        ) from None
    except (requests.RequestException, OSError) as error:
        raise ClusterError(
            f"the Ray cluster at {url} does not answer ({reason(error)}): start the cluster, or correct the address"
        ) from None


def _not_ray(url: str) -> str:
    return f"{url} does not answer as a Ray cluster's API server: correct the address"


def _check_version(url: str, answer: dict[str, Any]) -> None:
    """Raise ClusterError if the cluster runs another minor version of Ray than this environment."""
    if "ray_version" not in answer:
        raise ClusterError(_not_ray(url))
    theirs, ours = str(answer["ray_version"]), version("ray")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise ClusterError(
            f"the Ray cluster at {url} must run Ray {'.'.join(ours.split('.')[:2])}, as this environment does, not "
            f"{theirs}: install the same version on both sides"
        )

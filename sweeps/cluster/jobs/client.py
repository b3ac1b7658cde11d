"""The API server of a Ray cluster, to which sweeps are submitted: whether it answers, lets us in, and fits."""

import os
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sweeps.cluster.authentication import HOW_TO_SET, PROBE_TIMEOUT_SECONDS, Token, find_token
from sweeps.cluster.jobs.transport import HEADERS_VARIABLE, VERIFY_VARIABLE, Transport, transport_of_environment
from sweeps.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray.job_submission import JobSubmissionClient
    from requests import Response

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
# How long an answer may take; a head that many use takes seconds.
ANSWER_TIMEOUT_SECONDS = 60.0
_UNAUTHORISED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def api_server(address: str | None) -> str | None:
    """The API server that a person names, or RAY_API_SERVER_ADDRESS does."""
    return (address or os.environ.get(ADDRESS_VARIABLE) or "").rstrip("/") or None


def connect(address: str | None) -> "JobSubmissionClient":
    """A client of the Jobs API at `address`, or at RAY_API_SERVER_ADDRESS.

    Raises ClusterError, in seconds, with what to set: no address, no answer, a certificate that is not trusted, a
    missing or wrong token, another Ray.
    """
    url, transport = _checked(api_server(address)), transport_of_environment()
    token = None
    if _asks_for_a_token(url, transport):
        token = find_token()
        if token is None:
            raise ClusterError(f"the Ray cluster at {url} asks for a token, and there is none here: {HOW_TO_SET}")
    _check_version(url, _get(url, "/api/version", transport, token))
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(url, headers=transport.headers(token), verify=transport.verify)
    client._do_request = partial(_within_time, client._do_request)  # type: ignore[method-assign]
    return client


def _within_time(request: "Callable[..., Response]", *arguments: Any, **named: Any) -> "Response":
    """A request of Ray's client, which by itself waits for ever; data may take as long to send as they take."""
    seconds = None if named.get("data") is not None else ANSWER_TIMEOUT_SECONDS
    return request(*arguments, timeout=seconds, **named)


def _checked(url: str | None) -> str:
    if url is None:
        raise ClusterError(f"--address or {ADDRESS_VARIABLE} must name the cluster's API server: http://HOST:8265")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClusterError(f"the API server's address must be http://HOST:8265 or https://HOST, not {url!r}")
    if parts.username or parts.password:
        raise ClusterError("the API server's address must hold no user or password: Ray takes a token instead")
    return url


def _asks_for_a_token(url: str, transport: Transport) -> bool:
    """What the server itself says; one that is too old to be asked wants none."""
    return _get(url, "/api/authentication_mode", transport, None).get("authentication_mode") == "token"


def _get(url: str, path: str, transport: Transport, token: Token | None) -> dict[str, Any]:
    """The JSON object at a path; an empty one where the server has no such page."""
    answer = _ask(f"{url}{path}", url, transport.headers(token), transport.verify)
    if answer.status_code in _UNAUTHORISED and token is not None:
        raise ClusterError(f"the Ray cluster at {url} does not take the token of {token.source}: {HOW_TO_SET}")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return {}
    if answer.status_code != HTTPStatus.OK:
        raise ClusterError(
            f"the Ray cluster at {url} answers with status {answer.status_code}: mend the address, or set "
            f"{HEADERS_VARIABLE} to what a server before it asks for"
        )
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ClusterError(_not_ray(url))
    return found


def _ask(page: str, url: str, headers: dict[str, str], verify: str | bool) -> "Response":
    """The answer of a page, asked by the library that Ray's client asks with: it trusts the same certificates."""
    import requests

    try:
        # A redirection is not followed: the token is for this server.
        return requests.get(page, headers=headers, verify=verify, timeout=PROBE_TIMEOUT_SECONDS, allow_redirects=False)
    except requests.exceptions.SSLError as error:
        raise ClusterError(
            f"the Ray cluster at {url} must have a certificate that is trusted here ({_reason(error)}): set "
            f"{VERIFY_VARIABLE} to a file with the certificate of the authority that signed it"
        ) from None
    except requests.exceptions.InvalidHeader:  # Its text holds the header.
        raise ClusterError(
            f"the token and {HEADERS_VARIABLE} must be of printable characters, without line breaks: mend them"
        ) from None
    except (requests.RequestException, OSError) as error:
        raise ClusterError(
            f"the Ray cluster at {url} must answer; it does not ({_reason(error)}): start the cluster, or mend the "
            "address"
        ) from None


def _reason(error: BaseException) -> str:
    """What an error of `requests` is in the end, which wraps those of urllib3 and the system."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)


def _not_ray(url: str) -> str:
    return f"{url} must be a Ray cluster's API server, and answers as something else: mend the address"


def _check_version(url: str, answer: dict[str, Any]) -> None:
    """ClusterError where the cluster's Ray is not of the series that this package is made for: ours."""
    if "ray_version" not in answer:
        raise ClusterError(_not_ray(url))
    theirs, ours = str(answer["ray_version"]), version("ray")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise ClusterError(
            f"the Ray cluster at {url} must run Ray {'.'.join(ours.split('.')[:2])}, as this environment does, not "
            f"{theirs}: install the same version on both sides"
        )

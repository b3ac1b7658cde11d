"""The token that `sweeps ui` asks for: an ASGI app around MLflow's that answers only requests with it.

Any user of this machine can reach the server's port. Only the user who ran the command has the link with the token.
"""

import hmac
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NO_TOKEN = "This MLflow UI requires a token: open the link that `sweeps ui` printed."  # noqa: S105
OTHER_ORIGIN = "A page of another server on this machine must not use the MLflow UI."
_LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


class TokenGuard:
    """Pass requests with the token to `app`; it comes in the first link, then in a cookie, or as `Authorization`."""

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._token = token
        # Cookies belong to a host, not to a port: each UI on this machine has its own.
        self._cookie = f"sweeps-ui-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it to MLflow."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http" or scope["path"] == "/health":
            await self._app(scope, receive, send)
        elif scope["path"] == "/" and self._is_token(_query_token(scope)):
            await _answer(send, 303, "", self._first_visit())
        elif not any(map(self._is_token, self._tokens(scope))):
            await _answer(send, 401, NO_TOKEN, [(b"www-authenticate", b"Bearer")])
        elif _is_from_other_server(scope):
            await _answer(send, 403, OTHER_ORIGIN, [])
        else:
            await self._app(scope, receive, send)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())

    def _first_visit(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that store the cookie and open the page without the token, at the same `#fragment`."""
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        return [(b"set-cookie", cookie.encode()), (b"location", b"/"), (b"cache-control", b"no-store")]

    def _tokens(self, scope: Scope) -> list[str]:
        """Return what a request offers as its token: cookie, bearer token, or password."""
        offered = []
        for pair in "; ".join(_headers(scope, b"cookie")).split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._cookie:
                offered.append(value)
        for header in _headers(scope, b"authorization"):
            scheme, _, value = header.partition(" ")
            if scheme.lower() == "bearer":
                offered.append(value.strip())
            elif scheme.lower() == "basic":
                offered.append(_password(value))
        return offered


def _headers(scope: Scope, name: bytes) -> list[str]:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key == name]


def _query_token(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get("token", [""])[0]


def _password(credentials: str) -> str:
    try:
        return b64decode(credentials).decode().partition(":")[2]
    except ValueError:  # neither base64 nor text: no password
        return ""


def _is_from_other_server(scope: Scope) -> bool:
    """Return whether a page of another server on this machine sent the request.

    To browsers, all ports of this machine are one site: they send the cookie along, and MLflow allows all of them.
    """
    origins, hosts = _headers(scope, b"origin"), _headers(scope, b"host")
    return any(_LOCAL_ORIGIN.fullmatch(origin) and origin.partition("://")[2] not in hosts for origin in origins)


async def _answer(send: Send, status: int, sentence: str, headers: list[tuple[bytes, bytes]]) -> None:
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"referrer-policy", b"no-referrer")]
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *headers]})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode() if sentence else b""})

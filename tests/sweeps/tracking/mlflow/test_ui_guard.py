"""Who gets past the token of `sweeps ui`."""

import asyncio
from base64 import b64encode
from typing import Any

import pytest

from sweeps.tracking.mlflow.ui_guard import TokenGuard

TOKEN = "the-token"  # noqa: S105
HOST = "127.0.0.1:5000"
COOKIE = f"sweeps-ui-5000={TOKEN}"


def ask(path: str = "/", query: str = "", kind: str = "http", **headers: str | list[str]) -> list[dict[str, Any]]:
    """What the guard sends for one request; the app behind it answers 200."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    async def app(_scope: Any, _receive: Any, answer: Any) -> None:
        await answer({"type": "http.response.start", "status": 200, "headers": []})

    given = {"host": HOST} | headers
    pairs = [
        (name.encode(), value.encode())
        for name, values in given.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": pairs, "method": "GET"}
    asyncio.run(TokenGuard(app, TOKEN, 5000)(scope, receive, send))
    return sent


def status(path: str = "/", query: str = "", **headers: str | list[str]) -> int:
    return int(ask(path, query, **headers)[0]["status"])


def basic(password: str) -> str:
    return "Basic " + b64encode(password.encode()).decode()


def test_the_link_sets_a_cookie_and_opens_the_page_without_the_token() -> None:
    start, body = ask("/", f"token={TOKEN}")
    headers = dict(start["headers"])
    assert start["status"] == 303
    assert headers[b"location"] == b"/"
    assert headers[b"set-cookie"] == f"{COOKIE}; Path=/; HttpOnly; SameSite=Strict".encode()
    assert headers[b"cache-control"] == b"no-store"
    assert body["body"] == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": COOKIE},
        {"cookie": f'theme=dark; broken"=; {COOKIE}'},
        {"cookie": ["sweeps-ui-5000=old", COOKIE]},
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": basic(f"anyone:{TOKEN}")},
    ],
)
def test_the_token_opens_the_ui(headers: dict[str, Any]) -> None:
    assert status("/api/2.0/mlflow/runs/search", **headers) == 200


@pytest.mark.parametrize(
    ("path", "query", "headers"),
    [
        ("/", "", {}),
        ("/", "token=", {}),
        ("/", "token=wrong", {}),
        ("/", f"token={TOKEN}x", {}),
        ("/", f"token={TOKEN[:-1]}", {}),
        ("/api/2.0/mlflow/runs/search", f"token={TOKEN}", {}),
        ("/", "", {"cookie": "sweeps-ui-5000="}),
        ("/", "", {"cookie": f"sweeps-ui-5001={TOKEN}"}),
        ("/", "", {"cookie": f"sweeps-ui-5000={TOKEN}x"}),
        ("/", "", {"authorization": "Bearer "}),
        ("/", "", {"authorization": f"Bearer {TOKEN}é"}),
        ("/", "", {"authorization": TOKEN}),
        ("/", "", {"authorization": basic(f"{TOKEN}:")}),
        ("/", "", {"authorization": "Basic %%%"}),
        ("/", "", {"authorization": "Basic /////w=="}),
        ("/health/", "", {}),
        ("/static-files/main.js", "", {}),
    ],
)
def test_nothing_else_does(path: str, query: str, headers: dict[str, str]) -> None:
    start, body = ask(path, query, **headers)
    assert start["status"] == 401
    assert body["body"] == b"This MLflow UI requires a token: open the link that `sweeps ui` printed.\n"


def test_health_needs_no_token() -> None:
    assert status("/health") == 200


def test_a_websocket_is_refused_even_with_the_token() -> None:
    assert ask(kind="websocket", cookie=COOKIE) == [{"type": "websocket.close", "code": 1008}]


def test_the_start_and_end_of_the_server_reach_mlflow() -> None:
    assert ask(kind="lifespan")[0]["status"] == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (f"http://{HOST}", 200),
        ("http://127.0.0.1:6000", 403),
        ("http://localhost:5000", 403),
        ("https://[::1]:6000", 403),
        ("http://127.0.0.1", 403),
        ("null", 200),  # from here on, MLflow's own checks decide
        ("http://[", 200),
        ("https://evil.example", 200),
    ],
)
def test_a_page_of_another_port_cannot_use_the_cookie(origin: str, expected: int) -> None:
    assert status("/api/2.0/mlflow/runs/search", cookie=COOKIE, origin=origin) == expected

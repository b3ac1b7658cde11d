"""Who did something, and how that is known: against servers with accounts that check passwords, and that do not."""

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import TrackingError
from sweeps.tracking.mlflow import account
from sweeps.tracking.person import (
    MAX_CHARACTERS,
    Person,
    Source,
    claimed_person,
    cleaned,
    current_person,
    person_if_reachable,
    read_person,
)


@dataclass
class Server:
    """A tracking server that answers `users/current` with this status and body; one that `checks` knows ann's secret.

    `asked` are the credentials that it got, by address.
    """

    checks: bool = True
    status: int = 200
    body: bytes = b'{"user": {"username": "ann"}}'
    location: str | None = None
    uri: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, authorization: str | None) -> int:
        self.asked.append(authorization or "")
        known = (f"Basic {b64encode(b'ann:secret').decode()}", "Bearer token")
        return 401 if self.checks and authorization not in known else self.status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    account._account_name.cache_clear()
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = made.answer(self.headers["Authorization"])
            self.send_response(status)
            if made.location is not None:
                self.send_header("Location", made.location)
            self.end_headers()
            if status == 200:
                self.wfile.write(made.body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        made.uri = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        yield made
        http.shutdown()


def test_the_account_that_the_server_has_authenticated_is_the_person(server: Server) -> None:
    assert current_person(server.uri) == Person("ann", Source.ACCOUNT)
    assert str(current_person(server.uri)) == "ann (MLflow account)"
    right, wrong = server.asked  # the second call is answered from memory
    assert right == f"Basic {b64encode(b'ann:secret').decode()}"
    assert b64decode(wrong.removeprefix("Basic ")).startswith(b"ann:")
    assert wrong != right


def test_a_token_is_checked_in_the_same_way(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    assert current_person(server.uri) == Person("ann", Source.ACCOUNT)
    assert [asked.partition(" ")[0] for asked in server.asked] == ["Bearer", "Bearer"]


def test_a_server_that_accepts_any_password_knows_nobody(server: Server) -> None:
    server.checks = False
    assert current_person(server.uri) == claimed_person()
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"3",
        b"{}",
        b'{"user": 3}',
        b'{"user": {}}',
        b'{"user": {"username": ""}}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_a_server_that_names_no_user_has_no_accounts(server: Server, body: bytes) -> None:
    server.body = body
    assert current_person(server.uri) == claimed_person()


def test_a_server_without_accounts_is_no_error(server: Server) -> None:
    server.status = 404
    assert current_person(server.uri) == claimed_person()


def test_without_credentials_no_server_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    assert current_person(server.uri) == claimed_person()
    assert current_person("sqlite:///mlflow.db") == claimed_person()
    assert server.asked == []


def test_wrong_credentials_are_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted")
    with pytest.raises(TrackingError, match="must accept the credentials, and returns status 401") as refusal:
        current_person(server.uri)
    assert "planted" not in str(refusal.value)


def test_a_server_that_fails_gives_no_wrong_answer(server: Server) -> None:
    server.status = 503
    with pytest.raises(TrackingError, match="must say which account this is, and does not"):
        current_person(server.uri)
    assert person_if_reachable(server.uri) == claimed_person()
    with pytest.raises(TrackingError, match="must say which account this is"):
        current_person("http://127.0.0.1:9")


def test_credentials_follow_no_redirect(server: Server) -> None:
    server.status, server.location = 302, "http://127.0.0.1:9/stolen"
    assert current_person(server.uri) == claimed_person()
    assert len(server.asked) == 1


def test_no_more_than_a_bounded_answer_is_read(server: Server) -> None:
    server.body = json.dumps({"user": {"username": "a" * account._MAX_ANSWER_BYTES}}).encode()
    assert current_person(server.uri) == claimed_person()


def test_a_person_is_read_back() -> None:
    both = Person("bob@laptop", Source.CLAIMED, Person("service", Source.ACCOUNT))
    assert read_person(both.to_dict()) == both
    assert str(both) == "bob@laptop (claimed) through service (MLflow account)"
    assert read_person({"name": "eve", "source": "the CEO herself"}) == Person("eve", Source.CLAIMED)
    assert read_person({}) == Person("", Source.CLAIMED)
    deep: dict[str, object] = {}
    for _ in range(900):
        deep = {"name": "eve", "through": deep}
    assert str(read_person(deep)) == "eve (claimed) through eve (claimed)"


@given(st.text())
def test_a_cleaned_name_is_one_printable_line_of_limited_length(text: str) -> None:
    name = cleaned(text)
    assert len(name) <= MAX_CHARACTERS
    assert name.isprintable()
    assert cleaned(name) == name

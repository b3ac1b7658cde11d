"""Tokens and addresses of Ray clusters, as far as no cluster is needed."""

import socket
from pathlib import Path

import pytest

from sweeps.cluster.authentication import find_token
from sweeps.cluster.jobs import client
from sweeps.cluster.jobs.client import connect
from sweeps.errors import ClusterError


@pytest.fixture(autouse=True)
def no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_token_is_looked_for_where_ray_does_in_its_order(no_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_token() is None
    (no_token / ".ray").mkdir()
    (no_token / ".ray" / "auth_token").write_text("of-the-home\n")
    (no_token / "named").write_text("of-the-file\n")
    found = [find_token()]
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(no_token / "named"))
    found.append(find_token())
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-the-variable")
    found.append(find_token())
    assert [token.value for token in found if token] == ["of-the-home", "of-the-file", "of-the-variable"]
    assert [token.source for token in found if token][2] == "RAY_AUTH_TOKEN"


def test_a_token_shows_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "planted")
    assert "planted" not in f"{find_token()!r} {find_token()}"


def test_a_token_file_that_cannot_be_read_is_named(no_token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(no_token / "nowhere"))
    with pytest.raises(ClusterError, match="nowhere is not"):
        find_token()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, "RAY_API_SERVER_ADDRESS"),
        ("127.0.0.1:8265", "must be http://"),
        ("ray://127.0.0.1:10001", "must be http://"),
        ("http://someone:planted@127.0.0.1:8265", "must not contain a user or password"),
        ("http://127.0.0.1:9", "does not answer"),
    ],
)
def test_an_address_that_cannot_be_submitted_to_is_refused_at_once(address: str | None, reason: str) -> None:
    with pytest.raises(ClusterError, match=reason) as refusal:
        connect(address)
    assert "planted" not in str(refusal.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PROBE_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ClusterError, match="does not answer"):
            connect(address)

"""Limits on requests, against servers that attack: on time, on size, and redirects."""

import gzip
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from raw_server import OK, PACE_SECONDS, answer_with, raw_server, redirect_to, repeat

from sweeps.bounded_http import MEGABYTE, AnswerTooLarge, Limits, RedirectRefused, bounded_session, reason

SECONDS = 0.4
SOON = 2.5
UNSAFE = [301, 302, 303, 307, 308]
DRIPPING = {
    "status line": repeat(b"HTTP/1.1 200 OK", b" ", PACE_SECONDS),
    "headers": repeat(OK, b"X: 1\r\n", PACE_SECONDS),
    "one header": repeat(OK + b"X: ", b"1", PACE_SECONDS),
    "interim answers": repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "content": repeat(OK + b"\r\n", b" ", PACE_SECONDS),
    "content of known length": repeat(OK + b"Content-Length: 1000\r\n\r\n", b" ", PACE_SECONDS),
    "chunk size": repeat(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", PACE_SECONDS),
    "trailers": repeat(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: 1\r\n"),
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("no_proxy", raising=False)


@contextmanager
def soon() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SOON


def test_an_answer_within_the_limits_arrives_whole() -> None:
    content = bytes(range(256)) * 4096
    with raw_server(answer_with(content)) as server, bounded_session(Limits(answer_bytes=len(content))) as session:
        assert session.get(server.url, timeout=10).content == content


@pytest.mark.parametrize("part", DRIPPING)
def test_a_timeout_covers_the_whole_answer(part: str) -> None:
    with raw_server(DRIPPING[part]) as server, bounded_session(Limits()) as session:
        with soon(), pytest.raises(requests.RequestException) as raised:
            session.get(server.url, timeout=SECONDS)
        assert "timed out" in reason(raised.value)


def test_the_deadline_of_a_request_starts_anew_on_an_open_connection() -> None:
    def answer_twice(connection: socket.socket, head: str) -> None:
        for _ in range(2):
            time.sleep(0.3)
            answer_with(b"x")(connection, head)
            connection.recv(65536)

    with raw_server(answer_twice) as server, bounded_session(Limits()) as session:
        assert [session.get(server.url, timeout=0.5).content for _ in range(2)] == [b"x", b"x"]
        assert len(server.seen) == 1


def test_a_server_that_takes_a_request_slowly_does_not_prolong_it() -> None:
    def take_slowly(connection: socket.socket, _head: str) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while connection.recv(65536):
            time.sleep(PACE_SECONDS)

    limits = Limits(transfer_seconds=SECONDS)
    with raw_server(take_slowly) as server, bounded_session(limits) as session, Path("/dev/zero").open("rb") as file:
        with soon(), pytest.raises(requests.RequestException) as raised:
            session.put(server.url, data=file, timeout=10)
        assert "timed out" in reason(raised.value)


@pytest.mark.parametrize("stream", [False, True])
def test_a_transfer_has_a_total_time_of_its_own_and_a_timeout_for_each_read(stream: bool) -> None:
    dripping = DRIPPING["content of known length"]
    with raw_server(dripping) as server, bounded_session(Limits(transfer_seconds=3 * SECONDS)) as session, soon():
        start = time.monotonic()
        with pytest.raises(requests.RequestException):
            _ = session.get(server.url, timeout=SECONDS, stream=stream).content
        assert (time.monotonic() - start > 2.5 * SECONDS) == stream
    with (
        raw_server(lambda *_: time.sleep(SOON)) as silent,
        bounded_session(Limits()) as session,
        soon(),
        pytest.raises(requests.Timeout),
    ):
        session.get(silent.url, timeout=SECONDS, stream=stream)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_has_the_same_deadline(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    with raw_server(DRIPPING["headers"]) as proxy, bounded_session(Limits()) as session:
        session.proxies = {scheme: proxy.url}
        with soon(), pytest.raises(requests.RequestException) as raised:
            session.get(f"{scheme}://nowhere.example/", timeout=SECONDS)
        assert "timed out" in reason(raised.value)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_too_large_is_refused(stream: bool) -> None:
    limits = Limits(answer_bytes=MEGABYTE, transfer_bytes=2 * MEGABYTE)
    endless = repeat(OK + b"\r\n", bytes(65536))
    with (
        raw_server(endless) as server,
        bounded_session(limits) as session,
        soon(),
        pytest.raises(AnswerTooLarge, match="2 MB" if stream else "1 MB"),
    ):
        _ = session.get(server.url, timeout=10, stream=stream).content


def test_headers_without_end_are_refused() -> None:
    for part in (b"X: 1\r\n", b"1"):
        with (
            raw_server(repeat(OK + b"X: ", part * 1000)) as server,
            bounded_session(Limits()) as session,
            soon(),
            pytest.raises(requests.RequestException),
        ):
            session.get(server.url, timeout=10)


@pytest.mark.parametrize("attack", ["10 GB", "gzip", "gzip in gzip"])
def test_a_large_answer_takes_little_memory(attack: str) -> None:
    bomb = gzip.compress(bytes(256 * MEGABYTE), 1)
    answers = {
        "10 GB": repeat(OK + b"Content-Length: 10000000000\r\n\r\n", bytes(MEGABYTE)),
        "gzip": answer_with(bomb, "200 OK", "Content-Encoding: gzip"),
        "gzip in gzip": answer_with(gzip.compress(bomb), "200 OK", "Content-Encoding: gzip, gzip"),
    }
    script = """
import resource, sys
from sweeps.bounded_http import AnswerTooLarge, Limits, bounded_session
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    bounded_session(Limits()).get(sys.argv[1], timeout=30)
except AnswerTooLarge:
    print(peak() - before)
"""
    with raw_server(answers[attack]) as server:
        command = [sys.executable, "-c", script, server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 200_000


@pytest.mark.parametrize("status", UNSAFE)
def test_no_header_follows_a_redirect(status: int) -> None:
    headers = {"Authorization": "Bearer hunter2", "X-Ray-Authorization": "Bearer hunter2", "Cookie": "session=hunter2"}
    with raw_server(answer_with(b"")) as other, raw_server(redirect_to(other, status)) as server:
        with bounded_session(Limits()) as session, pytest.raises(RedirectRefused, match=f"redirects to {other.host}$"):
            session.get(server.url, headers=headers, timeout=10)
        assert "hunter2" in server.seen[0]
        assert other.seen == []


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("http://me:hunter2@else\x1bwhere.example/x", "elsewhere.example"),
        ("http://me:hunter2@[x", "another address"),
    ],
)
def test_the_target_of_a_redirect_is_printed_without_user_and_control_characters(target: str, shown: str) -> None:
    location = f"Location: {target}"
    with (
        raw_server(answer_with(b"", "302 Found", location)) as server,
        bounded_session(Limits()) as session,
        pytest.raises(RedirectRefused) as raised,
    ):
        session.get(server.url, timeout=10)
    assert str(raised.value) == f"redirects to {shown}"


def test_a_session_without_credentials_may_follow_redirects() -> None:
    with (
        raw_server(answer_with(b"there")) as other,
        raw_server(redirect_to(other)) as server,
        bounded_session(Limits(), follows_redirects=True) as session,
    ):
        assert session.get(server.url, timeout=10).content == b"there"


def test_a_redirect_leads_to_no_larger_answer() -> None:
    limits = Limits(answer_bytes=MEGABYTE)
    with (
        raw_server(repeat(OK + b"\r\n", bytes(65536))) as endless,
        raw_server(redirect_to(endless)) as server,
        bounded_session(limits, follows_redirects=True) as session,
        soon(),
        pytest.raises(AnswerTooLarge),
    ):
        session.get(server.url, timeout=10)

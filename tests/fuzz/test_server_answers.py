"""What a tracking server and a Ray cluster answer, whatever it is: read, or refused in lines."""

import gzip
import itertools
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from damage import Change, changed, changes, plain_values
from fuzzing import fuzzed, hold
from hypothesis import strategies as st
from raw_server import raw_server

from sweeps.cli.display.listing import listing_rows
from sweeps.cluster.jobs.bounded_client import BoundedClient
from sweeps.cluster.jobs.client import connect
from sweeps.cluster.jobs.submissions import all_submitted_with_reasons, find_submitted, logs
from sweeps.errors import SweepError
from sweeps.tracking.mlflow.account import account_name
from sweeps.tracking.mlflow.uri import check_tracker

JOB = {
    "type": "SUBMISSION",
    "submission_id": "small",
    "job_id": None,
    "status": "FAILED",
    "entrypoint": "exec python bootstrap.py small",
    "message": "it failed\nbadly",
    "metadata": {"sweeps.sweep": "small", "sweeps.owner": "ann", "sweeps.trials": "4", "sweeps.submitted_by": "ann"},
    "start_time": 1_700_000_000_000,
    "end_time": None,
    "driver_exit_code": 1,
    "driver_info": None,
}
# What each path answers if nothing is wrong.
PLAIN: dict[str, Any] = {
    "/api/2.0/mlflow/experiments/search": {"experiments": []},
    "/api/2.0/mlflow/users/current": {"user": {"username": "ann"}},
    "/api/authentication_mode": {"authentication_mode": "disabled"},
    "/api/version": {"version": "4", "ray_version": "RAY", "ray_commit": "c0ffee", "session_name": "s"},
    "/api/jobs/": [JOB, JOB | {"submission_id": "small-r2", "status": "RUNNING"}],
    "/api/jobs/small": JOB,
    "/api/jobs/small/logs": {"logs": "sweeps: started\nsweeps: failed\n"},
}
PATHS = sorted(PLAIN)
statuses = st.sampled_from([b"200 OK"] * 4 + [b"204 No", b"401 No", b"403 No", b"404 No", b"500 No", b"503 No"]) | (
    st.sampled_from([b"100 Go", b"301 Moved", b"302 Found", b"307 Moved", b"99 X", b"999 X", b"abc", b"", b"200"])
)
headers = st.sampled_from(
    [
        *(b"Content-Length: " + length for length in (b"-1", b"0", b"5", b"99999999999", b"x", b"1, 2")),
        *(b"Content-Encoding: " + coding for coding in (b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x")),
        *(b"Location: " + target for target in (b"/", b"http://[", b"ftp://a", b"//u:p@a\x1b[2J/", b"\xff", b"")),
        *(b"Content-Type: " + kind for kind in (b"application/json", b"text/html; charset=x", b"a; charset=utf-7")),
        b"Transfer-Encoding: chunked",
        b"Connection: keep-alive",
        b"Set-Cookie: a=\xff; Expires=x; Domain=..",
        b"X: " + b"y" * 70_000,
        b"no colon",
        b": empty",
        b"\x00: \x00",
        b"\r\n".join([b"X: y"] * 150),
    ]
)
bodies = (
    st.binary(max_size=60)
    | plain_values.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [
            b"[" * 100_000,
            b'{"user":' * 5000,
            b"9" * 5000,
            gzip.compress(bytes(2_000_000)),
            b"\xff\xfe{\x00}\x00",
            b"\xef\xbb\xbf{}",
            b"5\r\n{}   \r\n0\r\n\r\n",
            b"ffffffffffff\r\n{}",
            b"<html>",
            b"NaN",
        ]
    )
)


@dataclass(frozen=True)
class Answer:
    """An answer by its status, headers and body; None for the body that is right."""

    status: bytes
    headers: list[bytes]
    body: bytes | None


answers = st.builds(Answer, statuses, st.lists(headers, max_size=3), st.none() | bodies) | st.binary(max_size=200)
wrong = st.dictionaries(st.sampled_from(PATHS), answers, min_size=1, max_size=3)


@dataclass
class AnyServer:
    """A server on the loopback interface: its URL, and what it answers by path."""

    url: str = ""
    plain: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, Answer | bytes] = field(default_factory=dict)

    def answer(self, connection: socket.socket, head: str) -> None:
        """Answer a request."""
        path = head.split(" ")[1].partition("?")[0] if " " in head else ""
        body = json.dumps(self.plain.get(path)).encode()
        answer = self.wrong.get(path, Answer(b"200 OK" if path in self.plain else b"404 No", [], body))
        if isinstance(answer, Answer):
            content = body if answer.body is None else answer.body
            answer = b"\r\n".join([b"HTTP/1.1 " + answer.status, *answer.headers, b"", content])
        connection.sendall(answer)


@pytest.fixture(scope="module")
def running() -> Iterator[AnyServer]:
    found = AnyServer()
    with raw_server(found.answer) as server:
        found.url = server.url
        yield found


@pytest.fixture
def server(running: AnyServer) -> AnyServer:
    """The server of all cases, whose answers a case replaces."""
    from importlib.metadata import version

    running.plain = json.loads(json.dumps(PLAIN).replace("RAY", version("ray")))
    running.wrong = {}
    return running


users = itertools.count()


def check_account(server: AnyServer) -> None:
    uri = server.url.replace("://", f"://user{next(users)}:secret@")
    assert isinstance(hold(lambda: check_tracker(uri)), SweepError | None)
    name = hold(lambda: account_name(uri))
    assert isinstance(name, str | SweepError | None)
    if isinstance(name, SweepError):
        assert "secret" not in str(name)


def check_cluster(server: AnyServer) -> None:
    result = hold(lambda: connect(server.url))
    assert isinstance(result, BoundedClient | SweepError)
    if isinstance(result, SweepError):
        return
    submitted = hold(lambda: all_submitted_with_reasons(result))
    if not isinstance(submitted, SweepError):
        assert all(len(json.dumps(row)) < 5_000 for row in listing_rows([], submitted, []))
    found = hold(lambda: find_submitted(result, "small"))
    if not isinstance(found, SweepError):
        text = hold(lambda: "".join(logs(result, found, follow=False)))
        assert isinstance(text, str | SweepError)


@fuzzed(found=wrong)
def test_any_answers_of_a_tracking_server(server: AnyServer, found: dict[str, Answer | bytes]) -> None:
    server.wrong = found
    check_account(server)


@fuzzed(steps=changes(), rejects=st.booleans())
def test_any_values_of_a_tracking_server(server: AnyServer, steps: list[Change], rejects: bool) -> None:
    path = "/api/2.0/mlflow/users/current"
    body = json.dumps(changed(PLAIN[path], steps)).encode()
    server.wrong = {path: Answer(b"401 No" if rejects else b"200 OK", [], body)}
    check_account(server)


@fuzzed(found=wrong)
def test_any_answers_of_a_cluster(server: AnyServer, found: dict[str, Answer | bytes]) -> None:
    server.wrong = found
    check_cluster(server)


@fuzzed(path=st.sampled_from([path for path in PATHS if "mlflow" not in path]), steps=changes())
def test_any_values_of_a_cluster(server: AnyServer, path: str, steps: list[Change]) -> None:
    server.wrong = {path: Answer(b"200 OK", [], json.dumps(changed(server.plain[path], steps)).encode())}
    check_cluster(server)

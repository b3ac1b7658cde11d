"""A running `sweeps ui`: its links as printed, and requests to it."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class ServedUi:
    """The UI: the links that it printed, its process, and the token of the links."""

    links: list[str]
    process: subprocess.Popen[str]

    @property
    def address(self) -> str:
        """The address without the token."""
        return self.links[0].partition("/?")[0]

    @property
    def port(self) -> int:
        port = urlsplit(self.address).port
        assert port is not None
        return port

    @property
    def token(self) -> str:
        found = re.search(r"\?token=([^#&]+)#", self.links[0])
        assert found
        return found.group(1)

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """Send a request without the token and follow no redirect; `body` is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        method = method or ("GET" if body is None else "POST")
        connection.request(method, path, data, {"Content-Type": "application/json"} | named)
        answer = connection.getresponse()
        found = Answer(answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read())
        connection.close()
        return found

    def ask_as_owner(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """Send a request with the token."""
        return self.ask(path, body, method, Authorization=f"Bearer {self.token}", **headers)


@contextmanager
def served_ui(environment: Mapping[str, str], folder: Path, *arguments: str, n_links: int = 1) -> Iterator[ServedUi]:
    """Run `sweeps ui` in a folder until the context ends."""
    command = [sys.executable, "-m", "sweeps", "ui", *arguments, "--port", "0"]
    given = {**environment, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, env=given, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        printed = [server.stdout.readline() for _ in range(n_links)]  # they come once the server answers
        found = [re.search(r"http://\S+", line) for line in printed]
        assert all(found), printed
        yield ServedUi([match.group() for match in found if match], server)
    finally:
        server.terminate()
        server.communicate(timeout=30)

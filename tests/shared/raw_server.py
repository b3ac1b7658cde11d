"""Servers on the loopback interface that answer with any bytes, at any pace, and record what they receive."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PACE_SECONDS = 0.05
# A client without limits ends, too, and fails its test.
LONGEST_SECONDS, LARGEST = 20.0, 10_000_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass
class RawServer:
    """A server: its HOST:PORT, and the head of each request that it received."""

    host: str
    seen: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"


Answer = Callable[[socket.socket, str], None]


@contextmanager
def raw_server(answer: Answer) -> Iterator[RawServer]:
    """Run a server that reads the head of a request, calls `answer` with the connection and the head, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = RawServer(f"127.0.0.1:{listening.getsockname()[1]}")
        opened: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                head = _read_head(connection)
                server.seen.append(head)
                answer(connection, head)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                opened.append(connection)
                threading.Thread(target=serve, args=[connection], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            for closing in (listening, *opened):
                with suppress(OSError):
                    closing.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer_with(content: bytes, status: str = "200 OK", *headers: str) -> Answer:
    """Send one answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]

    def answer(connection: socket.socket, _head: str) -> None:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    return answer


def redirect_to(target: RawServer, status: int = 302) -> Answer:
    """Redirect every request to the same path of another server."""

    def answer(connection: socket.socket, head: str) -> None:
        location = f"Location: {target.url}{head.split(' ')[1]}"
        answer_with(b"", f"{status} Elsewhere", location)(connection, head)

    return answer


def repeat(first: bytes, part: bytes, pace_seconds: float = 0.0) -> Answer:
    """Send `first` at once, then `part` over and over: without end, or one each `pace_seconds`."""

    def answer(connection: socket.socket, _head: str) -> None:
        connection.sendall(first)
        end = time.monotonic() + LONGEST_SECONDS
        for _ in range(LARGEST // len(part)):
            if time.monotonic() > end:
                return
            connection.sendall(part)
            if pace_seconds:
                time.sleep(pace_seconds)

    return answer


def _read_head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        if not (received := connection.recv(65536)):
            break
        head += received
    return head.partition(b"\r\n\r\n")[0].decode("latin-1")

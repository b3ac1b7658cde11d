"""HTTP with limits: a timeout covers the whole request, answers have a largest size, credentials follow no redirect.

`requests` alone restarts its timeout with every byte, reads answers of any size, and sends most headers on to whatever
server a redirect names. Its session takes these limits as an adapter, so it serves other libraries' sessions too.
"""

import http.client
import io
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from socket import socket

    from urllib3.connection import HTTPConnection as Connection
else:
    Connection = object

MEGABYTE = 2**20
# The time that the request of this thread may take, from its first byte to the last of the answer; None: any.
_seconds: ContextVar[float | None] = ContextVar("seconds", default=None)


@dataclass(frozen=True)
class Limits:
    """What a server may take and send: the size of an answer, decoded; and of a file transfer its size and time."""

    answer_bytes: int = 64 * MEGABYTE
    transfer_bytes: int = 8 * 2**30
    transfer_seconds: float = 3600.0


class RedirectRefused(requests.RequestException):
    """A server redirects a request that may carry credentials."""


class AnswerTooLarge(requests.RequestException):
    """A server sends more than an answer may have."""


class BoundedAdapter(HTTPAdapter):
    """An adapter for a session of `requests`: a timeout is a total, answers are limited, and redirects are refused.

    A download that the caller streams, or the upload of an open file, is a transfer: its timeout is for each read, and
    its total is in the limits.
    """

    limits = Limits()
    follows_redirects = False

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Create the pools of connections, with deadlines."""
        super().init_poolmanager(*arguments, **named)
        _set_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """Return the pools of connections through a proxy, with deadlines."""
        manager = super().proxy_manager_for(proxy, **named)
        _set_deadlines(manager)
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request; the answer raises AnswerTooLarge while it is read, and RedirectRefused at once."""
        is_transfer = stream or hasattr(request.body, "read")
        total = self.limits.transfer_seconds if is_transfer else _total(timeout)
        before = _seconds.set(total)
        try:
            answer = super().send(request, stream, timeout, verify, cert, proxies)
        finally:
            _seconds.reset(before)
        if answer.is_redirect and not self.follows_redirects:
            answer.close()
            raise RedirectRefused(f"redirects to {_target(answer)}", request=request)
        n_bytes = self.limits.transfer_bytes if stream else self.limits.answer_bytes
        answer.raw.stream = partial(_limited, answer.raw.stream, n_bytes)
        return answer


def bounded_session(limits: Limits, *, follows_redirects: bool = False) -> requests.Session:
    """Return a session with these limits; only without credentials may it follow redirects."""
    adapter = BoundedAdapter()
    adapter.limits, adapter.follows_redirects = limits, follows_redirects
    session = requests.Session()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def reason(error: BaseException) -> str:
    """Return the innermost error: `requests` wraps those of urllib3 and the system."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)


def _total(timeout: Any) -> float | None:
    """Return the longest of the timeouts of a request, which may be one number or those to connect and to read."""
    numbers = [seconds for seconds in (timeout if isinstance(timeout, tuple) else (timeout,)) if seconds is not None]
    return max(numbers, default=None)


def _target(answer: requests.Response) -> str:
    """Return the host that a redirect names; a user and control characters are left out."""
    try:
        host = urlsplit(urljoin(answer.url, answer.headers["location"])).netloc.rpartition("@")[2]
    except ValueError:  # no URL
        host = ""
    return "".join(character for character in host if character.isprintable()) or "another address"


def _limited(stream: Callable[..., Iterator[bytes]], n_bytes: int, *arguments: Any, **named: Any) -> Iterator[bytes]:
    """Yield the decoded parts of an answer; raises AnswerTooLarge once they have more than `n_bytes`."""
    n_read = 0
    for part in stream(*arguments, **named):
        n_read += len(part)
        if n_read > n_bytes:
            raise AnswerTooLarge(f"sends more than {n_bytes / MEGABYTE:.0f} MB")
        yield part


class _Deadline:
    """When a request must be complete; every wait for its socket ends by then."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def limit(self, connection: "socket", longest: float | None) -> None:
        """Let the next operation on a socket take until the deadline, and at most `longest`."""
        left = None if self._end is None else self._end - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(min((seconds for seconds in (left, longest) if seconds is not None), default=None))


class _TimedConnection(Connection):
    """What a connection of urllib3 gets: a deadline for all that a request sends and receives."""

    _deadline = _Deadline(None)

    def connect(self) -> None:
        """Connect, with a deadline for the answer of a proxy."""
        self._start()
        super().connect()

    def putrequest(self, *arguments: Any, **named: Any) -> None:
        """Begin a request; its deadline starts here."""
        self._start()
        super().putrequest(*arguments, **named)

    def send(self, data: Any) -> None:
        """Send a part of a request; a server that takes it slowly does not prolong it."""
        if self.sock is not None:
            self._deadline.limit(self.sock, self.timeout)
        super().send(data)

    def _start(self) -> None:
        self._deadline = _Deadline(_seconds.get())
        self.response_class = partial(_TimedResponse, deadline=self._deadline)  # type: ignore[assignment]


class _TimedResponse(http.client.HTTPResponse):
    """An answer all of whose bytes must arrive by the deadline: status lines, headers, chunk sizes and content."""

    def __init__(self, connection: "socket", *arguments: Any, deadline: _Deadline, **named: Any) -> None:
        super().__init__(connection, *arguments, **named)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), connection, deadline))


class _TimedReader(io.RawIOBase):
    """What a socket receives; each read ends by the deadline."""

    def __init__(self, received: io.RawIOBase, connection: "socket", deadline: _Deadline) -> None:
        self._received, self._connection, self._deadline = received, connection, deadline
        self._longest = connection.gettimeout()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived."""
        self._deadline.limit(self._connection, self._longest)
        n_read: int | None = self._received.readinto(buffer)
        return n_read

    def close(self) -> None:
        """Close the socket's reader."""
        self._received.close()
        super().close()


def _set_deadlines(manager: Any) -> None:
    """Have the pools of a manager open connections with deadlines."""
    if getattr(manager, "has_deadlines", False):
        return
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": _timed(pool.ConnectionCls)})
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    manager.has_deadlines = True


def _timed(connection: type) -> type:
    return type(connection.__name__, (_TimedConnection, connection), {})

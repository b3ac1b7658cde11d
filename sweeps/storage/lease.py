"""A lease on a sweep in an object store, where no host sees another's locks: a file that its holder renews.

It ends when it is given back, or when it has not been renewed for a while; the clocks of hosts may differ by half of
that.
"""

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sweeps.errors import StorageError
from sweeps.storage import atomic_write
from sweeps.storage.object_store import RemotePath, patience

SECONDS = 60.0
_SECONDS_BETWEEN_RENEWALS = 15.0

logger = logging.getLogger(__name__)


def leaseholder(file: RemotePath) -> dict[str, Any] | None:
    """Who has the lease, as he has said it; None where it is free, or was last renewed long ago."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        holder, age_seconds = _read(file)
        return holder if age_seconds < SECONDS else None
    return None


class Lease:
    """The lease of this process. Once another has had it, it is lost for good: that one went on with the sweep."""

    def __init__(self, file: RemotePath, holder: Mapping[str, Any]) -> None:
        self._file = file
        self._holder = dict(holder)
        self._lock = threading.Lock()
        self._is_lost = False

    def take(self) -> None:
        """Have the lease; BlockingIOError where somebody else has taken it at the same time."""
        self._write()
        if leaseholder(self._file) != self._holder:
            raise BlockingIOError

    def is_mine(self) -> bool:
        """Whether no other process has had the lease since, asked of the store; one that has run out is renewed.

        StorageError where the store does not answer at once.
        """
        return self._check(SECONDS)

    def renew(self) -> bool:
        """Let it last longer; False where it is lost. StorageError where the store does not answer at once."""
        return self._check(0.0)

    def is_anothers(self) -> bool:
        """Whether another process has it now."""
        return leaseholder(self._file) not in (None, self._holder)

    def give_back(self) -> None:
        """Let others have it at once; where the store does not answer, they have it when it has run out."""
        with suppress(StorageError):
            if self.is_mine():
                self._file.unlink(missing_ok=True)

    def _check(self, lasts_seconds: float) -> bool:
        with self._lock, patience(0.0):
            age_seconds = self._age_seconds()
            if not self._is_lost and age_seconds >= lasts_seconds:
                self._write()
                self._age_seconds()
            return not self._is_lost

    def _age_seconds(self) -> float:
        """How long ago it was renewed; infinite where that cannot be told. It is lost where it is not ours."""
        try:
            holder, age_seconds = _read(self._file)
        except FileNotFoundError:
            self._is_lost = True  # given back by who took it, or gone with the sweep
            return math.inf
        except (ValueError, KeyError, TypeError):
            return math.inf
        self._is_lost |= holder != self._holder
        return age_seconds

    def _write(self) -> None:
        content = {"holder": self._holder, "renewed": time.time()}
        atomic_write.write_or_raise(self._file, json.dumps(content).encode())


@contextmanager
def leased(file: RemotePath, holder: Mapping[str, Any]) -> Iterator[Lease]:
    """Have the lease and renew it; BlockingIOError where somebody else has taken it at the same time."""
    lease = Lease(file, holder)
    lease.take()
    over = threading.Event()
    renewing = threading.Thread(target=_keep, args=(lease, over), name="lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        over.set()
        renewing.join()
        lease.give_back()


def _keep(lease: Lease, over: threading.Event) -> None:
    while not over.wait(_SECONDS_BETWEEN_RENEWALS):
        try:
            if not lease.renew():
                if lease.is_anothers():  # else the sweep has been removed, perhaps by this process
                    logger.warning("Another process has taken up this sweep, for the store was out of reach: ending")
                    os.kill(os.getpid(), signal.SIGINT)
                return
        except StorageError as error:
            logger.warning("The lease on the sweep is not renewed for now: %s", error)


def _read(file: RemotePath) -> tuple[dict[str, Any], float]:
    """Who had the lease last, and how many seconds ago it was renewed."""
    lease = json.loads(file.read_bytes())
    return lease["holder"], time.time() - lease["renewed"]

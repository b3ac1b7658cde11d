"""A lease on a sweep in an object store, where no host sees another's locks: a file that its owner keeps renewing.

A lease ends when its owner releases it, or when it has not been renewed for `LEASE_SECONDS`. The clocks of two hosts
may differ by up to half of that.
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

from pydantic import BaseModel, FiniteFloat

from sweeps.errors import StorageError
from sweeps.storage import atomic_write
from sweeps.storage.object_store import RemotePath, patience
from sweeps.storage.private_files import read_file

LEASE_SECONDS = 60.0
_SECONDS_BETWEEN_RENEWALS = 15.0
_MAX_BYTES = 10_000

logger = logging.getLogger(__name__)


class _Written(BaseModel):
    """The contents of the file; `renewed` is in seconds since 1970."""

    holder: dict[str, Any]
    renewed: FiniteFloat


def lease_owner(file: RemotePath) -> dict[str, Any] | None:
    """Return the owner of a lease as it described itself; None if the lease is free or has expired."""
    with suppress(FileNotFoundError, ValueError):
        owner, age_seconds = _read(file)
        return owner if age_seconds < LEASE_SECONDS else None
    return None


class Lease:
    """This process's lease. Once another process has owned it, it is lost for good: the sweep continues there."""

    def __init__(self, file: RemotePath, owner: Mapping[str, Any]) -> None:
        self._file = file
        self._owner = dict(owner)
        self._lock = threading.Lock()
        self._is_lost = False

    def acquire(self) -> None:
        """Take the lease; BlockingIOError if another process took it at the same time."""
        self._write()
        if lease_owner(self._file) != self._owner:
            raise BlockingIOError

    def is_owner(self) -> bool:
        """Ask the store whether no other process has owned the lease since; renew it if it has expired.

        Raises StorageError if the store does not answer at once.
        """
        return self._check(renew_after_seconds=LEASE_SECONDS)

    def renew(self) -> bool:
        """Renew the lease; return False if it is lost. Raises StorageError if the store does not answer at once."""
        return self._check(renew_after_seconds=0.0)

    def has_another_owner(self) -> bool:
        """Return whether another process owns the lease now."""
        return lease_owner(self._file) not in (None, self._owner)

    def release(self) -> None:
        """Free the lease at once; if the store does not answer, it expires by itself."""
        with suppress(StorageError):
            if self.is_owner():
                self._file.unlink(missing_ok=True)

    def _check(self, *, renew_after_seconds: float) -> bool:
        with self._lock, patience(0.0):
            age_seconds = self._age_seconds()
            if not self._is_lost and age_seconds >= renew_after_seconds:
                self._write()
                self._age_seconds()  # another process may have written at the same time
            return not self._is_lost

    def _age_seconds(self) -> float:
        """Return the seconds since the last renewal, infinity if unknown; note if the lease is lost."""
        try:
            owner, age_seconds = _read(self._file)
        except FileNotFoundError:
            self._is_lost = True  # another process took and released it, or the sweep was deleted
            return math.inf
        except ValueError:
            return math.inf
        self._is_lost |= owner != self._owner
        return age_seconds

    def _write(self) -> None:
        content = {"holder": self._owner, "renewed": time.time()}
        atomic_write.write_or_raise(self._file, json.dumps(content).encode())


@contextmanager
def own_lease(file: RemotePath, owner: Mapping[str, Any]) -> Iterator[Lease]:
    """Own the lease and keep renewing it; BlockingIOError if another process took it at the same time."""
    lease = Lease(file, owner)
    lease.acquire()
    stopped = threading.Event()
    renewing = threading.Thread(target=_renew_until, args=(stopped, lease), name="lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        stopped.set()
        renewing.join()
        lease.release()


def _renew_until(stopped: threading.Event, lease: Lease) -> None:
    while not stopped.wait(_SECONDS_BETWEEN_RENEWALS):
        try:
            if not lease.renew():
                if lease.has_another_owner():  # else the sweep was deleted, perhaps by this process
                    logger.warning("Another process took over this sweep while the store was unreachable: stopping")
                    os.kill(os.getpid(), signal.SIGINT)
                return
        except StorageError as error:
            logger.warning("Cannot renew the lease on the sweep, will try again: %s", error)


def _read(file: RemotePath) -> tuple[dict[str, Any], float]:
    """Return the last owner of the lease, and the seconds since its last renewal."""
    written = _Written.model_validate_json(read_file(file, _MAX_BYTES))
    return written.holder, time.time() - written.renewed

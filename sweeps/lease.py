"""A lease on a sweep in an object store, where no host sees another's locks: a file that its holder renews.

It ends when it is given back, or when it has not been renewed for a while; the clocks of hosts may differ by half of
that.
"""

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sweeps import durable
from sweeps.errors import StorageError
from sweeps.remote import RemotePath

SECONDS = 60.0
_SECONDS_BETWEEN_RENEWALS = 15.0

logger = logging.getLogger(__name__)


def leaseholder(file: RemotePath) -> dict[str, Any] | None:
    """Who has the lease, as he has said it; None where it is free, or was last renewed long ago."""
    try:
        lease = json.loads(file.read_bytes())
        holder: dict[str, Any] = lease["holder"]
        return holder if time.time() - lease["renewed"] < SECONDS else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def leased(file: RemotePath, holder: Mapping[str, Any]) -> Iterator[None]:
    """Have the lease and renew it; BlockingIOError where somebody else has taken it at the same time."""
    _renew(file, holder)
    if leaseholder(file) != holder:
        raise BlockingIOError
    over = threading.Event()
    renewing = threading.Thread(target=_keep, args=(file, holder, over), name="lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
        if leaseholder(file) == holder:
            file.unlink(missing_ok=True)


def _keep(file: RemotePath, holder: Mapping[str, Any], over: threading.Event) -> None:
    while not over.wait(_SECONDS_BETWEEN_RENEWALS):
        try:
            other = leaseholder(file)
            if other is not None and other != holder:
                logger.warning("Another process has taken up this sweep, for the store was out of reach: ending")
                os.kill(os.getpid(), signal.SIGINT)
                return
            _renew(file, holder)
        except StorageError as error:
            logger.warning("The lease on the sweep is not renewed for now: %s", error)


def _renew(file: RemotePath, holder: Mapping[str, Any]) -> None:
    durable.write_or_raise(file, json.dumps({"holder": dict(holder), "renewed": time.time()}).encode())

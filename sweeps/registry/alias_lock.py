"""One promotion at a time: a lock on an alias, made of what MLflow gives to one caller only, with an expiry.

MLflow sets an alias without a look at what it was. It gives the name of a registered model to one caller, though: the
lock is a registered model NAME.ALIAS.lock-N, deleted when the alias has moved. A lock whose holder died expires by the
server's clock; the next holder takes the number after it, which again one caller gets, and clears the old one away.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sweeps.errors import PromotionConflict, TrackingError
from sweeps.registry.mlflow_registry import Entry, RegistryStore
from sweeps.registry.names import who

# What the holder may take between its requests; the last of them is counted besides.
WORK_SECONDS = 80.0
# Beyond what a request may last: by how much clocks may differ in pace, and answers be late.
_SPARE_SECONDS = 10.0
_N_RELEASES, _RELEASE_PAUSE_SECONDS = 3, 0.5
_HOLDER, _TOKEN, _SECONDS = "sweeps.lock.holder", "sweeps.lock.token", "sweeps.lock.seconds"
_NOTE = "Held by `sweeps` while it moves an alias; it is deleted at once, or ignored when it has expired."


@dataclass(frozen=True)
class Lock:
    """A lock that is held: for `seconds` from `since`, by this process's clock, which begins before the server's.

    The step after a look at the lock may take `margin_seconds`.
    """

    name: str
    since: float
    seconds: float
    margin_seconds: float

    def check(self) -> None:
        """Make sure that nobody else can hold it for as long as a request lasts; PromotionConflict where one may."""
        if time.monotonic() - self.since > self.seconds - self.margin_seconds:
            raise PromotionConflict(
                f"the lock on the alias must be used within {self.seconds - self.margin_seconds:g} s, and MLflow was "
                "slower: nothing was moved, promote again"
            )


@contextmanager
def locked(store: RegistryStore, name: str, alias: str) -> Iterator[Lock]:
    """Hold the lock on an alias of a registered model; PromotionConflict, at once, where another holds it.

    It lasts long enough for a request that hangs to end before the lock does, however long the store lets one hang.
    """
    prefix, token = f"{name}.{alias}.lock-", secrets.token_hex(8)
    since, before = time.monotonic(), _locks(store, prefix)
    margin = store.request_seconds + _SPARE_SECONDS
    number = max(map(_number, before), default=0) + 1
    lock = Lock(f"{prefix}{number}", since, WORK_SECONDS + margin, margin)
    try:
        _acquire(store, prefix, lock, token, before)
        yield lock
    finally:
        _release(store, lock.name, token)


def _acquire(store: RegistryStore, prefix: str, lock: Lock, token: str, before: Mapping[str, Entry]) -> None:
    """Make the lock, and give way to another that was there before and has not expired; clear away what has.

    Who comes later has seen this one, and gives way to it.
    """
    tags = {_HOLDER: f"{who()}, process {os.getpid()}", _TOKEN: token, _SECONDS: f"{lock.seconds:g}"}
    created = store.create(lock.name, tags, _NOTE)
    # A second look tells of those who were between the first one and the step.
    others = {**before, **_locks(store, prefix)}
    if created is None:
        raise PromotionConflict(_told(others.get(lock.name)))
    others.pop(lock.name, None)
    expired = {name for name, other in others.items() if _has_expired(other, created)}
    for name in others.keys() - expired:
        if name in before or others[name].created_ms <= created.created_ms:
            raise PromotionConflict(_told(others[name]))
    for name in expired:
        store.delete(name)


def _release(store: RegistryStore, name: str, token: str) -> None:
    """Delete the lock if it is ours, also where nobody heard that it was made; what cannot be deleted expires."""
    for attempt in range(_N_RELEASES):
        with suppress(TrackingError):
            found = store.find(name)
            if found is not None and found.tags.get(_TOKEN) == token:
                store.delete(name)
            return
        time.sleep(attempt * _RELEASE_PAUSE_SECONDS)


def _locks(store: RegistryStore, prefix: str) -> dict[str, Entry]:
    return {entry.name: entry for entry in store.find_all(prefix) if re.search(r"-\d+$", entry.name)}


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _has_expired(lock: Entry, later: Entry) -> bool:
    """Whether a lock had run out when a `later` one was made, both by the server's clock."""
    return later.created_ms - lock.created_ms >= float(lock.tags.get(_SECONDS, WORK_SECONDS)) * 1000


def _told(lock: Entry | None) -> str:
    if lock is None:
        return "another promotion moves this alias at this moment: nothing was moved, promote again"
    age = f"a lock that lasts {lock.tags.get(_SECONDS, WORK_SECONDS)} s at most"
    return (
        f"another promotion moves this alias at this moment ({lock.tags.get(_HOLDER, 'unknown')}, {age}): "
        "nothing was moved, promote again when it is done"
    )

"""A lock on an alias, so that one promotion at a time moves it.

MLflow sets an alias without compare-and-swap, but lets only one caller create a registered model of a given name. So
the lock is a registered model NAME.ALIAS.lock-N, deleted after the move. A lock whose owner died expires by the
server's clock; the next owner creates lock N+1, which again only one caller can, and deletes the expired one.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sweeps.errors import PromotionConflict, TrackingError
from sweeps.registry.mlflow_registry import RegisteredModel, RegistryStore
from sweeps.registry.names import who

# The time that the owner may spend before its last request.
WORK_SECONDS = 80.0
# Added to the duration of a request: clock drift and late responses.
_SPARE_SECONDS = 10.0
_N_RELEASES, _RELEASE_PAUSE_SECONDS = 3, 0.5
_HOLDER, _TOKEN, _SECONDS = "sweeps.lock.holder", "sweeps.lock.token", "sweeps.lock.seconds"
_NOTE = "A lock of `sweeps`, which is moving an alias. It is deleted after the move, and ignored once it has expired."


@dataclass(frozen=True)
class Lock:
    """A lock owned by this process for `seconds` from `since`, a monotonic time before the lock was created.

    After `check`, the next step may take `margin_seconds`.
    """

    name: str
    since: float
    seconds: float
    margin_seconds: float

    def check(self) -> None:
        """Raise PromotionConflict if the lock may expire during the next request."""
        if time.monotonic() - self.since > self.seconds - self.margin_seconds:
            raise PromotionConflict(
                f"the lock on the alias must be used within {self.seconds - self.margin_seconds:g} s, but MLflow took "
                "longer: nothing was moved, promote again"
            )


@contextmanager
def locked(store: RegistryStore, name: str, alias: str) -> Iterator[Lock]:
    """Lock an alias of a registered model; raise PromotionConflict at once if another process has locked it.

    The lock outlasts a hanging request, however long the store lets one hang.
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


def _acquire(store: RegistryStore, prefix: str, lock: Lock, token: str, before: Mapping[str, RegisteredModel]) -> None:
    """Create the lock, yield to an older one that has not expired, and delete those that have.

    A process that comes later sees this lock and yields to it.
    """
    tags = {_HOLDER: f"{who(store.uri)}, process {os.getpid()}", _TOKEN: token, _SECONDS: f"{lock.seconds:g}"}
    created = store.create(lock.name, tags, _NOTE)
    # List again: another process may have created a lock since the first listing.
    others = {**before, **_locks(store, prefix)}
    if created is None:
        raise PromotionConflict(_conflict(others.get(lock.name)))
    others.pop(lock.name, None)
    expired = {name for name, other in others.items() if _has_expired(other, created)}
    for name in others.keys() - expired:
        if name in before or others[name].created_ms <= created.created_ms:
            raise PromotionConflict(_conflict(others[name]))
    for name in expired:
        with suppress(TrackingError):  # the lock of another account, which this one may not delete: it is ignored
            store.delete(name)


def _release(store: RegistryStore, name: str, token: str) -> None:
    """Delete the lock if it is ours, even if the response to its creation was lost; if that fails, it expires."""
    for attempt in range(_N_RELEASES):
        with suppress(TrackingError):
            found = store.find(name)
            if found is not None and found.tags.get(_TOKEN) == token:
                store.delete(name)
            return
        time.sleep(attempt * _RELEASE_PAUSE_SECONDS)


def _locks(store: RegistryStore, prefix: str) -> dict[str, RegisteredModel]:
    return {model.name: model for model in store.find_all(prefix) if re.search(r"-\d+$", model.name)}


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _has_expired(lock: RegisteredModel, later: RegisteredModel) -> bool:
    """Return whether a lock had expired when a `later` one was created, both by the server's clock."""
    return later.created_ms - lock.created_ms >= float(lock.tags.get(_SECONDS, WORK_SECONDS)) * 1000


def _conflict(lock: RegisteredModel | None) -> str:
    if lock is None:
        return "another promotion is moving this alias: nothing was moved, promote again"
    expiry = f"its lock expires after {lock.tags.get(_SECONDS, WORK_SECONDS)} s"
    return (
        f"another promotion is moving this alias ({lock.tags.get(_HOLDER, 'unknown')}; {expiry}): "
        "nothing was moved, promote again when it is done"
    )

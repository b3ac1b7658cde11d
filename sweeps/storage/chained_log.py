"""An append-only log of JSON entries, one file each. Each entry has the SHA-256 of the one before it.

A changed, deleted or swapped entry breaks the chain; missing entries at the end do not, so the newest entry's number
and hash are kept elsewhere, too. On a disk, the file system lets one writer create an entry; an object store cannot, so
the writers take turns there by a lease.
"""

import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from sweeps.errors import StorageError
from sweeps.storage import atomic_write
from sweeps.storage.lease import LEASE_SECONDS, Lease, lease_owner
from sweeps.storage.object_store import Place, RemotePath
from sweeps.storage.private_files import make_folder, open_file

# An entry is a few kilobytes. No more of a larger file is read: it is another file.
MAX_ENTRY_BYTES = 2**20
_NAME = re.compile(r"([0-9]{8})\.json")
_POLL_SECONDS = 0.2
# A writer that saw the lease free has written its own by then.
_SETTLING_SECONDS = 0.5


@dataclass(frozen=True)
class LogEntry:
    """An entry by its number, from 1, and the bytes of its file."""

    number: int
    content: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        return sha256(self.content).hexdigest()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Return what the entry records; an empty dictionary if the file is no JSON object."""
        with suppress(ValueError, RecursionError):
            facts = json.loads(self.content)
            if isinstance(facts, dict):
                return facts
        return {}


class ChainedLog:
    """The log in a folder, on a disk or in an object store; the first entry creates the folder."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder

    def entries(self) -> list[LogEntry]:
        """Return all entries, oldest first, unchecked."""
        return list(self.newest_first())[::-1]

    def newest_first(self) -> Iterator[LogEntry]:
        """Yield the entries, newest first, unchecked, each read when it is needed."""
        return (self._read(number) for number in reversed(self._numbers()))

    def append(self, facts: Mapping[str, Any]) -> LogEntry:
        """Write the next entry, which others cannot overwrite, and return it. Raises StorageError if it cannot."""
        while (entry := self._try_to_append(facts)) is None:
            pass  # another writer took the number: take the next
        return entry

    def _try_to_append(self, facts: Mapping[str, Any]) -> LogEntry | None:
        """Write the next entry; return None if another writer took its number."""
        if isinstance(self.folder, RemotePath):
            with _leased(self.folder / "held-by.json"):
                entry = self._next(facts)
                file = self.folder / f"{entry.number:08d}.json"
                file.write_bytes(entry.content)
            return entry if file.read_bytes() == entry.content else None
        entry = self._next(facts)
        with self._explained("write"):
            make_folder(self.folder)
            return entry if _create(self.folder / f"{entry.number:08d}.json", entry.content) else None

    def _next(self, facts: Mapping[str, Any]) -> LogEntry:
        last = next(self.newest_first(), None)
        number, previous = (1, None) if last is None else (last.number + 1, last.sha256)
        plain = {"entry": number, "previous": previous, **facts}
        return LogEntry(number, (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode())

    def _numbers(self) -> list[int]:
        with self._explained("read"):
            names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)

    def _read(self, number: int) -> LogEntry:
        file = self.folder / f"{number:08d}.json"
        if isinstance(file, RemotePath):
            return LogEntry(number, file.read_bytes())
        with self._explained("read"), os.fdopen(open_file(file, os.O_RDONLY), "rb") as opened:
            return LogEntry(number, opened.read(MAX_ENTRY_BYTES + 1))

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(
                f"this user must be able to {action} the log in {self.folder}, and is not ({error.strerror}): free "
                "space, or correct the permissions of SWEEPS_HOME",
                passes=error.errno in atomic_write.NO_SPACE,
            ) from error


def chain_issues(entries: Sequence[LogEntry]) -> list[str]:
    """Return a line for each break of the chain; the newest entry's own content is not checked by any other."""
    issues = [f"entry {entry.number} is no JSON object" for entry in entries if not entry.facts]
    issues += [
        f"the file of entry {entry.number} holds entry {entry.facts.get('entry')}"
        for entry in entries
        if entry.facts and entry.facts.get("entry") != entry.number
    ]
    if entries and (entries[0].number != 1 or entries[0].facts.get("previous") is not None):
        issues.append(f"the log must begin with entry 1, and begins with entry {entries[0].number} of another chain")
    for before, after in pairwise(entries):
        if after.number != before.number + 1:
            missing = f"{before.number + 1}" + (f" to {after.number - 1}" if after.number > before.number + 2 else "")
            issues.append(f"entry {missing} is missing")
        elif after.facts.get("previous") != before.sha256:
            issues.append(f"entry {before.number} is not the one that entry {after.number} was written after")
    return issues


def _create(file: Path, content: bytes) -> bool:
    """Create a private file, whole and safe from a power cut; return False if it exists."""
    partial = file.with_name(f"{file.name}.{uuid4().hex[:8]}.partial")
    try:
        with os.fdopen(open_file(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        try:
            os.link(partial, file)  # unlike a rename, this replaces nothing
        except FileExistsError:
            return False
    finally:
        partial.unlink(missing_ok=True)
    atomic_write.sync(file.parent)
    return True


@contextmanager
def _leased(file: RemotePath) -> Iterator[None]:
    """Own a lease, after waiting for it; StorageError if others own it all the time."""
    owner = {"host": platform.node(), "pid": os.getpid(), "token": uuid4().hex}
    lease = Lease(file, owner)
    deadline = time.monotonic() + 2 * LEASE_SECONDS
    while not _acquire(lease, file, owner):
        if time.monotonic() > deadline:
            raise StorageError(f"{file} must be free, and other processes own it: try again", passes=True)
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lease.release()


def _acquire(lease: Lease, file: RemotePath, owner: Mapping[str, Any]) -> bool:
    """Take a free lease; return False if another writer, which saw it free at the same time, took it."""
    if lease_owner(file) is not None:
        return False
    with suppress(BlockingIOError):
        lease.acquire()
        time.sleep(_SETTLING_SECONDS)
        return lease_owner(file) == owner
    return False

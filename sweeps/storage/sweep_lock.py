"""Which process owns a sweep: it locks a file in the sweep's folder, and the lock ends with the process."""

import fcntl
import json
import os
import platform
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from sweeps.errors import StorageError, SweepDone, SweepLocked
from sweeps.storage.layout import SweepFolder
from sweeps.storage.lease import LEASE_SECONDS, lease_owner, own_lease
from sweeps.storage.object_store import RemotePath
from sweeps.storage.private_files import explained_errors, make_folder, open_file

IsOwner = Callable[[], bool]

_POLL_SECONDS = 0.1
_MAX_CHARACTERS = 10_000
# struct flock of 64-bit Linux: type, whence, start, length (0: the whole file), process.
_FLOCK = struct.Struct("hhqqi0q")


@dataclass(frozen=True)
class Owner:
    """A process that owns a sweep. `started` is its start in clock ticks since boot: process ids are reused.

    `boot` distinguishes hosts of the same name: the machine's boot id and the namespace of `pid`. It is empty if an
    earlier version wrote the file.
    """

    host: str
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    started: int
    boot: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def runs_here(self) -> bool:
        """Whether the process runs on this host."""
        return self.is_on_this_host and _start_of(self.pid) == self.started

    @property
    def is_on_this_host(self) -> bool:
        """Whether the process belongs to this host, running or ended."""
        return self.host == platform.node() and self.boot in ("", _boot())

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does; do nothing if the process has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.runs_here:
                signal.pidfd_send_signal(descriptor, signal.SIGINT)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)


_OWNER = TypeAdapter(Owner)


@contextmanager
def own_sweep(folder: SweepFolder) -> Iterator[IsOwner]:
    """Lock a sweep for this process, to run or delete it; SweepLocked if another process owns it.

    Yields a function that returns whether this process still owns the sweep: in an object store, another process may
    take it over while this one cannot reach the store. The function raises StorageError if the store does not answer.
    """
    this_process = Owner(platform.node(), os.getpid(), _start_of(os.getpid()) or 0, _boot())
    with _open_lock(folder) as file:
        # An open file description lock: unlike flock and POSIX locks, it can be tested without being taken or released.
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            raise _locked_error(folder, _read(file)) from None
        file.truncate(0)
        file.write(json.dumps(asdict(this_process)))
        file.flush()
        with _own_lease_if_remote(folder, this_process) as is_owner:
            yield is_owner


def _open_lock(folder: SweepFolder) -> IO[str]:
    """Open the file to lock; StorageError if the sweep's folder is a link, or another user's.

    The owner of a sweep writes and removes files in its folder, and a link may lead to any other folder.
    """
    for path in (folder.path, folder.local):
        if isinstance(path, Path) and path.is_symlink():
            raise StorageError(
                f"{path} must be a folder to be written to or deleted, and is a link to {path.readlink()}: replace it "
                "by that folder; only SWEEPS_HOME and SWEEPS_LOCAL may be links",
                passes=False,
            )
    with explained_errors(folder.lock.parent):
        make_folder(folder.lock.parent)
        return os.fdopen(open_file(folder.lock, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+", errors="replace")


@contextmanager
def _own_lease_if_remote(folder: SweepFolder, this_process: Owner) -> Iterator[IsOwner]:
    """Own the sweep's lease, too, if its folder is in an object store: other hosts do not see the lock."""
    if folder.lease is None:
        yield lambda: True
        return
    if other := _lease_owner(folder.lease):
        raise _locked_error(folder, other)
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(own_lease(folder.lease, asdict(this_process)))
        except BlockingIOError:
            raise _locked_error(folder, _lease_owner(folder.lease)) from None
        yield lease.is_owner


def _locked_error(folder: SweepFolder, owner: Owner | None) -> SweepLocked:
    expiry = "" if folder.lease is None else f"; the lease of a lost process expires within {LEASE_SECONDS:g} s"
    return SweepLocked(
        f"{folder.id} is already running ({owner or 'another process'}): `sweeps stop {folder.id}` stops it{expiry}"
    )


def stop_owner(folder: SweepFolder, patience_seconds: float) -> None:
    """Interrupt the process that runs a sweep, and wait until it has ended cleanly.

    Raises SweepDone if no process runs it, SweepLocked if one runs it on another host or does not end in time.
    """
    owner = owner_of(folder)
    if owner is None:
        raise SweepDone(f"no process runs {folder.id}: there is nothing to stop")
    if not owner.runs_here:
        raise SweepLocked(f"{folder.id} is run by {owner}: run `sweeps stop {folder.id}` there")
    owner.interrupt()
    deadline = time.monotonic() + patience_seconds
    while is_owned(folder):
        if time.monotonic() > deadline:
            raise SweepLocked(
                f"{folder.id} did not stop within {patience_seconds:g} s: wait for {owner}, which was interrupted"
            )
        time.sleep(_POLL_SECONDS)


def is_owned(folder: SweepFolder) -> bool:
    """Return whether a process runs the sweep."""
    with suppress(FileNotFoundError), _read_lock(folder) as file:
        if _is_locked(file):
            return True
    return folder.lease is not None and _lease_owner(folder.lease) is not None


def owner_of(folder: SweepFolder) -> Owner | None:
    """Return the process that runs the sweep; None if there is none, or it has not written who it is yet."""
    with suppress(FileNotFoundError), _read_lock(folder) as file:
        if _is_locked(file):
            return _read(file)
    return None if folder.lease is None else _lease_owner(folder.lease)


def _read_lock(folder: SweepFolder) -> IO[str]:
    with explained_errors(folder.lock.parent):
        return os.fdopen(open_file(folder.lock, os.O_RDONLY), errors="replace")


def _lease_owner(lease: RemotePath) -> Owner | None:
    """Return the owner of the lease, unless it is a process of this host that has ended."""
    try:
        owner = _OWNER.validate_python(lease_owner(lease))
    except ValidationError:
        return None
    return owner if owner.runs_here or not owner.is_on_this_host else None


def _is_locked(file: IO[str]) -> bool:
    answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_RDLCK))
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _whole_file(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)


def _read(file: IO[str]) -> Owner | None:
    file.seek(0)
    try:
        return _OWNER.validate_json(file.read(_MAX_CHARACTERS))
    except ValidationError:  # The process has the lock but has not written the file yet.
        return None


def _boot() -> str:
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"


def _start_of(pid: int) -> int | None:
    """Return when a process of this host started, in clock ticks since boot; None if there is no such process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may contain anything; the start is field 22.
    return int(status.rpartition(")")[2].split()[19])

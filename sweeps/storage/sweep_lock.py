"""Which process runs a sweep: it holds a lock in the sweep's folder, which ends with the process, however that ends."""

import fcntl
import json
import os
import platform
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from sweeps.errors import SweepDone, SweepLocked
from sweeps.storage.layout import SweepFolder
from sweeps.storage.lease import SECONDS, leased, leaseholder
from sweeps.storage.object_store import RemotePath

IsMine = Callable[[], bool]

_POLL_SECONDS = 0.1
# struct flock of 64-bit Linux: type, whence, start, length (0: the whole file), process.
_FLOCK = struct.Struct("hhqqi0q")


@dataclass(frozen=True)
class Holder:
    """A process that runs a sweep; `started` is its start in clock ticks since the boot: a number may be used again.

    `boot` tells hosts of one name apart: the boot of the machine, and the namespace in which `pid` counts. It is empty
    where an earlier version has written the holder down.
    """

    host: str
    pid: int
    started: int
    boot: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether the process runs on this machine."""
        return self.is_of_here and _start_of(self.pid) == self.started

    @property
    def is_of_here(self) -> bool:
        """Whether the process runs on this machine, or has ended there: another one may have the same name."""
        return self.host == platform.node() and self.boot in ("", _boot())

    def interrupt(self) -> None:
        """Ask the process to end cleanly, as Ctrl-C does; nothing where it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_here:
                signal.pidfd_send_signal(descriptor, signal.SIGINT)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)


@contextmanager
def hold(folder: SweepFolder) -> Iterator[IsMine]:
    """Be the one process that runs a sweep, or deletes it; SweepLocked where another does.

    Gives what tells whether this still is so: in a store, another process may take it up while this one does not reach
    it. StorageError where that cannot be told for now.
    """
    folder.lock.parent.mkdir(parents=True, exist_ok=True)
    me = Holder(platform.node(), os.getpid(), _start_of(os.getpid()) or 0, _boot())
    with folder.lock.open("a+") as file:
        # Not flock, nor a lock of the process: looking whether one is held must neither take nor end it.
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            raise _held(folder, _read(file)) from None
        file.truncate(0)
        file.write(json.dumps(asdict(me)))
        file.flush()
        with _holding_lease(folder, me) as is_mine:
            yield is_mine


@contextmanager
def _holding_lease(folder: SweepFolder, me: Holder) -> Iterator[IsMine]:
    """Tell other hosts, too, where they do not see the lock."""
    if folder.lease is None:
        yield lambda: True
        return
    if other := _leaseholder(folder.lease):
        raise _held(folder, other)
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(leased(folder.lease, asdict(me)))
        except BlockingIOError:
            raise _held(folder, _leaseholder(folder.lease)) from None
        yield lease.is_mine


def _held(folder: SweepFolder, holder: Holder | None) -> SweepLocked:
    lost = "" if folder.lease is None else f"; one that was lost gives it up within {SECONDS:g} s"
    return SweepLocked(
        f"{folder.id} must be run by one process at a time, and {holder or 'another process'} runs it: "
        f"`sweeps stop {folder.id}` ends that{lost}"
    )


def stop(folder: SweepFolder, patience_seconds: float) -> None:
    """Interrupt the process that runs a sweep, and wait until it has ended cleanly.

    Raises SweepDone where none runs it, SweepLocked where one runs it elsewhere or does not end for so long.
    """
    holder = holder_of(folder)
    if holder is None:
        raise SweepDone(f"no process runs {folder.id}: there is nothing to stop")
    if not holder.is_here:
        raise SweepLocked(f"{folder.id} is run by {holder}: `sweeps stop {folder.id}` must be given there")
    holder.interrupt()
    deadline = time.monotonic() + patience_seconds
    while is_held(folder):
        if time.monotonic() > deadline:
            raise SweepLocked(
                f"{holder} was told to end {folder.id} and has not for {patience_seconds:g} s: wait for it"
            )
        time.sleep(_POLL_SECONDS)


def is_held(folder: SweepFolder) -> bool:
    """Whether a process runs the sweep."""
    try:
        with folder.lock.open("r") as file:
            if _is_locked(file):
                return True
    except FileNotFoundError:
        pass
    return folder.lease is not None and _leaseholder(folder.lease) is not None


def holder_of(folder: SweepFolder) -> Holder | None:
    """The process that runs the sweep; None where none does, or it has not yet written down which it is."""
    try:
        with folder.lock.open("r") as file:
            if _is_locked(file):
                return _read(file)
    except FileNotFoundError:
        pass
    return None if folder.lease is None else _leaseholder(folder.lease)


def _leaseholder(lease: RemotePath) -> Holder | None:
    """Who has the lease; not a process of this host that has ended."""
    try:
        holder = Holder(**(leaseholder(lease) or {}))
    except TypeError:
        return None
    return holder if holder.is_here or not holder.is_of_here else None


def _is_locked(file: IO[str]) -> bool:
    answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole(fcntl.F_RDLCK))
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _whole(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)


def _read(file: IO[str]) -> Holder | None:
    file.seek(0)
    try:
        written: dict[str, Any] = json.loads(file.read())
        return Holder(**written)
    except (ValueError, TypeError):  # It has the lock, and writes next.
        return None


def _boot() -> str:
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"


def _start_of(pid: int) -> int | None:
    """When a process of this machine started, in clock ticks since the boot; None where there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses, which may hold anything; the start is the 22nd.
    return int(status.rpartition(")")[2].split()[19])

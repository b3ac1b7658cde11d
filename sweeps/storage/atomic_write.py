"""Atomic writes: a file is written whole or not at all, also while a disk is full or a store unreachable."""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sweeps.errors import StorageError
from sweeps.storage.object_store import Place
from sweeps.storage.private_files import open_file

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# How long a write that must succeed waits for a full disk or an unreachable store: someone has to free space.
PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 1.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, then move it to `path`: a crash leaves the old file or the new one.

    The temporary name is unique: a worker taken for lost may still be writing while its trial runs elsewhere.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def suppress_full_disk() -> Iterator[None]:
    """Suppress the error if the disk is full or a store does not answer."""
    try:
        yield
    except StorageError as error:
        if not error.passes:
            raise
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise


def write(path: Place, content: bytes, patience_seconds: float = 0.0, *, synced: bool = False) -> bool:
    """Write a file atomically; return False if there is no space within `patience_seconds`.

    A `synced` file survives a power cut.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        with suppress_full_disk():
            write_or_raise(path, content, synced=synced)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)


def write_or_raise(path: Place, content: bytes, *, synced: bool = False) -> None:
    """Write a file atomically; raise OSError if the disk is full."""
    if not isinstance(path, Path):
        path.write_bytes(content)
        return
    with replacing(path) as partial:
        os.close(open_file(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        partial.write_bytes(content)
        if synced:
            sync(partial)
    if synced:
        sync(path.parent)


def remove_partial(folder: Place) -> None:
    """Remove the temporary files that a killed process left behind; an object store has none."""
    if isinstance(folder, Path):
        for partial in folder.glob("*.partial"):
            with suppress(FileNotFoundError):
                partial.unlink()


def try_to_remove(folder: Place) -> None:
    """Remove a folder that is no longer used; ignore errors."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with suppress(StorageError):
            folder.remove_tree()


def sync(path: Path) -> None:
    """Let a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

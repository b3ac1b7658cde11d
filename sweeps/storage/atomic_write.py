"""Files that are written whole or not at all, on a disk that may be full for a while."""

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

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# How long what must be written waits for a full disk, or a store that is away: somebody has to free space.
PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 1.0


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which then takes the place of `path`: a crash leaves what was there, or all of the new.

    The name is nobody else's: a worker that was given up for lost may still write when its trial runs elsewhere.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def unless_full() -> Iterator[None]:
    """Go on after the block where the disk has no space for what it writes, or a store does not answer."""
    try:
        yield
    except StorageError as error:
        if not error.passes:
            raise
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise


def write(path: Place, content: bytes, patience_seconds: float = 0.0, *, synced: bool = False) -> bool:
    """Write a file whole; False where there has been no space for it for so long. `synced`: it survives a power cut."""
    deadline = time.monotonic() + patience_seconds
    while True:
        with unless_full():
            write_or_raise(path, content, synced=synced)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)


def write_or_raise(path: Place, content: bytes, *, synced: bool = False) -> None:
    """Write a file whole; OSError where the disk does not take it."""
    if not isinstance(path, Path):
        path.write_bytes(content)
        return
    with whole(path) as partial:
        partial.write_bytes(content)
        if synced:
            _sync(partial)
    if synced:
        _sync(path.parent)


def remove_partial(folder: Place) -> None:
    """Remove what a process that was killed had begun to write; a store has none of that."""
    if isinstance(folder, Path):
        for partial in folder.glob("*.partial"):
            with suppress(FileNotFoundError):
                partial.unlink()


def try_to_remove(folder: Place) -> None:
    """Remove a folder that is of no more use, as far as that goes."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with suppress(StorageError):
            folder.remove_tree()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

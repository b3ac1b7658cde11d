"""Files and folders that only their owner can use, and that are opened without following links.

What is created in a folder with the setgid bit (`chmod g+s`) is shared with the folder's group instead. Nothing that
exists already gets another mode.
"""

import errno
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath

from sweeps.errors import StorageError
from sweeps.storage.object_store import Place

_FOLDER_MODE, _SHARED_FOLDER_MODE = 0o700, 0o2770
_FILE_MODE, _SHARED_FILE_MODE = 0o600, 0o660
# What opening a link, a folder, a FIFO without a reader, a socket or a missing device returns.
_NOT_REGULAR = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)


def make_folder(path: Place, *, exist_ok: bool = True) -> None:
    """Create a folder and those above it that are missing; an object store has none."""
    if not isinstance(path, Path):
        return
    try:
        path.mkdir(_FOLDER_MODE)
    except FileNotFoundError:
        if path.parent.is_dir():  # as below /proc: nothing can be created there
            raise
        make_folder(path.parent)
        make_folder(path, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok or not path.is_dir():
            raise
    else:
        if _is_shared(path.parent):
            path.chmod(_SHARED_FOLDER_MODE)


def user_folder() -> Path:
    """Return a temporary folder that only this user can use; all processes of the user on this host get the same one.

    If another user took its name first, each process gets one of its own.
    """
    folder = Path(tempfile.gettempdir()) / f"sweeps-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(_FOLDER_MODE)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    return _own_temporary_folder()


@cache
def _own_temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sweeps-"))


def open_file(path: Path, flags: int) -> int:
    """Open a regular file as `os.open` does, without following a link; return its descriptor.

    Raises StorageError for a link, a folder, a FIFO, a socket or a device, which could hang or lead elsewhere.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = _create(path, flags) if flags & os.O_CREAT else os.open(path, flags)
    except OSError as error:
        if error.errno not in _NOT_REGULAR:
            raise
        raise _not_regular(path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def read_file(path: Place, max_bytes: int) -> bytes:
    """Return the content of a regular file; StorageError if it is another kind of file, or larger than `max_bytes`."""
    if isinstance(path, Path):
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            content = file.read(max_bytes + 1)
    else:
        content = path.read_bytes(max_bytes + 1)
    if len(content) > max_bytes:
        raise StorageError(f"{path} must have at most {max_bytes:,} bytes, and has more: remove it", passes=False)
    return content


def is_inside(folder: Place, name: str) -> bool:
    """Return whether a relative path stays in a folder, also if links are followed; an object store has none."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return False
    return not isinstance(folder, Path) or (folder / path).resolve().is_relative_to(folder.resolve())


def refuse_links(folder: Place) -> None:
    """Raise StorageError if a folder contains a link: who writes and removes files through it may reach any folder."""
    if isinstance(folder, Path) and folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise StorageError(
                        f"{entry.path} must not be a link: remove it, or replace it by what it points to", passes=False
                    )


def remove_tree(folder: Path, last: tuple[str, ...] = ()) -> None:
    """Remove a folder with everything in it, without following links; names that start as in `last` go last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            found = sorted(entries, key=lambda entry: entry.name.startswith(last))
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, dir_fd=descriptor)
            else:
                os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    folder.rmdir()


@contextmanager
def explained_errors(path: Place) -> Iterator[None]:
    """Turn an OSError about a place, a missing file apart, into a StorageError that says what is wrong with it."""
    try:
        yield
    except (StorageError, FileNotFoundError):
        raise
    except OSError as error:
        raise StorageError(
            f"{path} must be a folder of yours that can be read and written, and is not "
            f"({error.strerror or error}{_owner(path)}): set its permissions, or SWEEPS_HOME to another folder",
            passes=False,
        ) from error


def _create(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_EXCL, _FILE_MODE)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags, _FILE_MODE)
    if _is_shared(path.parent):
        os.fchmod(descriptor, _SHARED_FILE_MODE)
    return descriptor


def _is_shared(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_ISGID)


def _not_regular(path: Path) -> StorageError:
    return StorageError(f"{path} must be a regular file, and is a link or a special file: remove it", passes=False)


def _owner(path: Place) -> str:
    """Say whose the place is, if it is another user's."""
    try:
        uid = os.getuid() if not isinstance(path, Path) else path.stat().st_uid
    except OSError:
        return ""
    if uid == os.getuid():
        return ""
    try:
        return f"; it belongs to {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"; it belongs to user {uid}"

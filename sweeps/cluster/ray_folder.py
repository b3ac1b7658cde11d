"""The folder of a local Ray: its sockets and logs, closed to other users, and removed with it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "sweeps-ray-"
# The longest path of a socket that Ray creates below its temporary folder, and the longest that Linux accepts.
_SOCKET = "session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
_MAX_SOCKET_PATH = 107
_DEFAULT_PARENT = Path("/tmp")  # noqa: S108 (mkdtemp creates a private folder there)


@contextmanager
def ray_folder() -> Iterator[Path]:
    """Create a folder for Ray's temporary files that only this user can enter; remove it afterwards.

    Folders of processes that were killed are removed first.
    """
    parent = _parent()
    _remove_abandoned(parent)
    private, lock = _create(parent)
    try:
        # Ray opens its temporary folder to all users (mode 0777): it gets one inside.
        yield private / "r"
    finally:
        # Ray's last processes may still write here. What they leave, the next sweep removes.
        shutil.rmtree(private, ignore_errors=True)
        os.close(lock)


def _parent() -> Path:
    """Return where Ray itself would put its folder, or /tmp if the paths of sockets would be too long there."""
    wanted = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or _DEFAULT_PARENT).absolute()
    longest = wanted / f"{_PREFIX}12345678" / "r" / _SOCKET
    return wanted if len(os.fsencode(longest)) <= _MAX_SOCKET_PATH else _DEFAULT_PARENT


def _create(parent: Path) -> tuple[Path, int]:
    """Return a new private folder and its open lock, which lasts as long as this process."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        private = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(private, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if private.exists():
            return private, lock
        os.close(lock)  # another sweep took the folder for abandoned before it was locked


def _remove_abandoned(parent: Path) -> None:
    """Remove this user's folders whose process has ended without removing them: nobody locks them."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's folder, a link, or one that another sweep removes at this moment
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
            finally:
                os.close(descriptor)

"""Files in an object store, such as S3, with as much of pathlib's interface as a sweep's folder needs.

Arrow's file systems access them, as in Ray, and fsspec those that Arrow does not know. Writes are atomic, and a folder
is only a prefix of names. Credentials come from the environment, never from a URL.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from sweeps.errors import InputError, StorageError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

T = TypeVar("T")

# How long a read waits for a store that does not answer; for writes, see `sweeps.storage.atomic_write`.
PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 1.0
_patience: ContextVar[float | None] = ContextVar("patience", default=None)
_REFUSALS = re.compile(
    r"ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY|SIGNATURE|INVALID_CLIENT_TOKEN|HTTP status 40[13]|credential",
    re.IGNORECASE,
)


class RemotePath:
    """A file in an object store, or a prefix of several names."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.password is not None or re.search(
            r"(access_key|secret|token|password)[^=&]*=", parts.query, re.IGNORECASE
        ):
            raise InputError(
                f"a URL of sweeps must not contain credentials, and that of {parts.scheme}://{parts.hostname or ''} "
                "does: set them in the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._path = PurePosixPath("/", *PurePosixPath(parts.path).parts)
        self._query = f"?{parts.query}" if parts.query else ""

    def __str__(self) -> str:
        return f"{self._base}{self._path}{self._query}"

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str) -> "RemotePath":
        return self._at(self._path / name)

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self._path.name

    @property
    def parent(self) -> "RemotePath":
        """Return the path without its last part."""
        return self._at(self._path.parent)

    def with_name(self, name: str) -> "RemotePath":
        """Return the path with another last part."""
        return self._at(self._path.with_name(name))

    def relative_to(self, other: "RemotePath") -> PurePosixPath:
        """Return the path relative to a prefix of it."""
        return self._path.relative_to(other._path)

    def exists(self) -> bool:
        """Return whether the path is a file or a prefix."""
        return self._info() is not None

    def is_dir(self) -> bool:
        """Return whether the path is a prefix of files."""
        info = self._info()
        return info is not None and not info.is_file

    def iterdir(self) -> Iterator["RemotePath"]:
        """Return the files and prefixes one level below."""
        from pyarrow.fs import FileSelector

        def list_below(fs: "FileSystem", path: str) -> "list[FileInfo]":
            return list(fs.get_file_info(FileSelector(path, allow_not_found=True)))

        infos = self._patiently(list_below)
        return iter([self / info.base_name for info in infos])

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: an object store has no folders."""

    def read_bytes(self, max_bytes: int | None = None) -> bytes:
        """Return the content of the file, or its first `max_bytes`; FileNotFoundError if there is none."""

        def read(fs: "FileSystem", path: str) -> bytes:
            with fs.open_input_stream(path) as stream:
                return bytes(stream.read() if max_bytes is None else stream.read(max_bytes))

        return self._patiently(read)

    def read_text(self) -> str:
        """Return the content of the file as text."""
        return self.read_bytes().decode()

    def write_bytes(self, content: bytes) -> None:
        """Write the file in one request; StorageError if the store does not take it.

        The write is atomic in S3, where a file exists once it is closed; other stores may leave part of a failed write.
        """

        def write(fs: "FileSystem", path: str) -> None:
            with fs.open_output_stream(path) as stream:
                stream.write(content)

        self._once(write)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the file."""
        try:
            self._patiently(lambda fs, path: fs.delete_file(path))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: "RemotePath") -> None:
        """Rename the file."""
        self._once(lambda fs, path: fs.move(path, target._place()[1]))

    def remove_tree(self) -> None:
        """Remove every file below this prefix."""
        with suppress(FileNotFoundError):
            self._patiently(lambda fs, path: fs.delete_dir(path))

    def _at(self, path: PurePosixPath) -> "RemotePath":
        return RemotePath(f"{self._base}{path}{self._query}")

    def _info(self) -> "FileInfo | None":
        from pyarrow.fs import FileType

        info = self._patiently(lambda fs, path: fs.get_file_info(path))
        return None if info.type == FileType.NotFound else info

    def _place(self) -> "tuple[FileSystem, str]":
        """Return Arrow's file system, and the path in it."""
        fs, prefix = _file_system(f"{self._base}/{self._query}")
        return fs, f"{prefix.rstrip('/')}{self._path}"

    def _patiently(self, do: "Callable[[FileSystem, str], T]") -> T:
        seconds = _patience.get()
        deadline = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
        while True:
            try:
                return self._once(do)
            except StorageError as error:
                if not error.passes or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def _once(self, do: "Callable[[FileSystem, str], T]") -> T:
        try:
            return do(*self._place())
        except FileNotFoundError:
            raise
        except (OSError, ValueError, ImportError) as error:
            text = " ".join(str(error).split())[:300]
            passes = isinstance(error, OSError) and not _REFUSALS.search(text)
            raise StorageError(
                f"{self} is not reachable: check the store and its credentials; the error was: {text}",
                passes=passes,
            ) from None


Place = Path | RemotePath


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Let reads in this thread wait for `seconds`, not PATIENCE_SECONDS, for a store that does not answer."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def place(text: str) -> Place:
    """Parse a local path or a URL."""
    if "://" not in text:
        return Path(text)
    if text.startswith("file://"):
        return Path(urlsplit(text).path)
    return RemotePath(text)


@cache
def _file_system(root: str) -> "tuple[FileSystem, str]":
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    try:
        fs, name = FileSystem.from_uri(root)
    except ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise
        fs, name = FileSystem.from_uri(f"fsspec+{root}")
    return fs, str(name)

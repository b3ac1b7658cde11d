"""The files of a logged model: which locations they may be read from, and their download."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from sweeps.errors import InputError
from sweeps.tracking.mlflow.uri import sqlite_path, without_credentials

MAX_BYTES = 2 * 1000**3
MAX_FILES = 1000
MAX_DEPTH = 20
# Where this package and MLflow itself put artifacts, beside a SQLite store.
_ARTIFACT_FOLDERS = ("mlartifacts", "mlruns")


def check_source(source: str) -> None:
    """Raise InputError unless the source of a version is a logged model of the same store."""
    if not re.fullmatch(r"models:/m-[0-9a-f]{32}", source):
        raise InputError(
            f"the source of a version must be a model that was logged in the same store, models:/m-..., not "
            f"{_shown(source)}: promote a trial with `sweeps promote`"
        )


def check_location(uri: str, location: str) -> None:
    """Raise InputError unless a logged model at `location` is part of the tracking store at `uri`.

    A server must serve the files itself. For a SQLite store, they must lie in a folder of artifacts beside it; for
    another database, in a local folder.
    """
    parts = urlsplit(location)
    is_plain = not parts.netloc and not parts.query and ".." not in unquote(parts.path).split("/")
    if uri.startswith("http"):
        if parts.scheme == "mlflow-artifacts" and is_plain:
            return
        required = "served by the MLflow server, at mlflow-artifacts:/..."
    else:
        store = sqlite_path(uri)
        folders = [] if store is None else [store.parent / name for name in _ARTIFACT_FOLDERS]
        path = _local_path(location)
        if parts.scheme in ("", "file") and is_plain and (not folders or any(_is_below(path, f) for f in folders)):
            return
        required = f"in a folder of the store: {' or '.join(map(str, folders)) or 'a local path'}"
    raise InputError(
        f"the files of a model must be {required}, not at {_shown(location)}: promote a trial with `sweeps promote`"
    )


def download_files(uri: str, location: str, folder: Path) -> Path:
    """Copy the files at `location` to a new `folder`, symbolic links as such; return it.

    Raises InputError for a location outside the store, for too many files, and for files that are too large together.
    """
    check_location(uri, location)
    if urlsplit(location).scheme == "mlflow-artifacts":
        return _download(uri, location, folder)
    source = _local_path(location)
    if not source.is_dir():
        raise InputError(f"the files of a model must be at {_shown(location)}, and are missing: promote a trial again")
    _check_sizes(_local_sizes(source))
    shutil.copytree(source, folder, symlinks=True)
    return folder


def _download(uri: str, location: str, folder: Path) -> Path:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository: Any = get_artifact_repository(location, tracking_uri=uri)
    listed = list(_served_files(repository))
    folder.mkdir()
    for path in listed:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        # What each kind of store implements; `download_artifacts` would ask again for a list, once for each file.
        repository._download_file(path, str(folder / path))
        _check_sizes(_local_sizes(folder))  # a file may be larger than the server lists it
    return folder


def _check_sizes(entries: Iterable[tuple[str, int]]) -> None:
    """Raise InputError as soon as the paths with their sizes are too many or too deep, or too large together."""
    n_bytes = 0
    for n_files, (path, size) in enumerate(entries, start=1):
        n_bytes += size
        if n_files > MAX_FILES or n_bytes > MAX_BYTES or path.count("/") > MAX_DEPTH:
            raise InputError(
                f"a model must have at most {MAX_FILES:,} files on {MAX_DEPTH} levels and {MAX_BYTES:,} bytes, and has "
                "more: it is not downloaded"
            )


def _local_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the path and the size of each file and folder below `folder`, without following links."""
    for parent, folders, files in os.walk(folder):
        yield from ((Path(parent, name).relative_to(folder).as_posix(), 0) for name in folders)
        yield from (
            (path.relative_to(folder).as_posix(), path.lstat().st_size)
            for path in (Path(parent, name) for name in files)
        )


def _served_files(repository: Any) -> Iterator[str]:
    """Yield the path of each file that the server lists; InputError as soon as they break a limit."""
    entries: list[tuple[str, int]] = []
    folders = [""]
    while folders:
        for info in _listed(repository, folders.pop()):
            if PurePosixPath(info.path).is_absolute() or ".." in PurePosixPath(info.path).parts:
                raise InputError(f"the files of a model must lie in its folder, and {_shown(info.path)} does not")
            entries.append((info.path, info.file_size or 0))
            _check_sizes(entries)
            if info.is_dir:
                folders.append(info.path)
            else:
                yield info.path


def _listed(repository: Any, path: str) -> list[Any]:
    """Return what the server lists in a folder. MLflow's client does not check the types of the answer."""
    try:
        return list(repository.list_artifacts(path))
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"the MLflow server must list the files of a model, and its list has another form ({error}): check "
            "MLFLOW_TRACKING_URI"
        ) from error


def _local_path(location: str) -> Path:
    parts = urlsplit(location)
    return Path(unquote(parts.path) if parts.scheme == "file" else location)


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _shown(text: str) -> str:
    """Return text from the store for a message: quoted, of bounded length, without credentials."""
    return repr(without_credentials(text)[:200])

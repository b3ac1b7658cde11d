"""Paths of a user's own data files: refused unless they are regular files."""

from pathlib import Path

from sweeps.datamodules.arrays import DatasetError


def check_is_file(path: Path, needed: str) -> None:
    """Raise DatasetError unless `path` is a regular file: reading a pipe or a device may never end."""
    if path.is_file():
        return
    raise DatasetError(f"{path} must be {needed}, and {_what_is_there(path)}: correct its path")


def _what_is_there(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    return "is a pipe or a device" if path.exists() else "there is no such file"

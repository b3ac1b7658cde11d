"""What a submitted sweep takes with it to the cluster: this code, the sweep file, and arrays that lie on this disk."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from sweeps.config import SweepConfig
from sweeps.errors import DataError

_PACKAGE = Path(__file__).parents[2]
# What Ray's own store takes in one piece.
MAX_ARRAY_BYTES = 450 * 2**20


@dataclass(frozen=True)
class Shipment:
    """Folders on this disk: that in which the job runs, and one for each array, named by its digest."""

    working_folder: Path
    array_folders: tuple[Path, ...] = ()


@contextmanager
def packed(config: SweepConfig | None = None) -> Iterator[Shipment]:
    """Copy what is shipped into folders that last as long as the context; without a config, the code alone.

    Ray addresses each folder by its content, and takes what the cluster has already from there.
    """
    with TemporaryDirectory(prefix="sweeps-submit-") as temporary:
        root = Path(temporary)
        working = root / "working"
        shutil.copytree(_PACKAGE, working / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        shutil.copyfile(Path(__file__).with_name("bootstrap.py"), working / "bootstrap.py")
        arrays: list[Path] = []
        if config is not None:
            document = config.to_dict()
            document["data"], arrays = _pack_arrays(document["data"], root)
            (working / "sweep.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
        yield Shipment(working, tuple(arrays))


def array_files(config: SweepConfig) -> tuple[list[Path], list[Path]]:
    """The files that a sweep's data section names: those here, and those that are not; DataError for one too large."""
    named = {key: Path(name) for key, name in _array_files(config.to_dict()["data"]).items()}
    here = {key: path for key, path in named.items() if path.is_file()}
    for key, path in here.items():
        n_bytes = path.stat().st_size
        if n_bytes > MAX_ARRAY_BYTES:
            raise DataError(
                f"data.{key}: {path} must have at most {MAX_ARRAY_BYTES // 2**20} MiB to be sent with the sweep, not "
                f"{n_bytes // 2**20}: copy it to the cluster's shared folder and name it there"
            )
    return list(here.values()), [path for key, path in named.items() if key not in here]


def _array_files(data: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(data[key]) for key in ("path", "labels_path") if data.get(key)}


def _pack_arrays(data: dict[str, Any], root: Path) -> tuple[dict[str, Any], list[Path]]:
    """The data section with shipped paths in place of those of this disk, and the folders that hold them.

    A path that is not here is left as it is: it may be one of the cluster's.
    """
    folders = []
    shipped = dict(data)
    for key, name in _array_files(data).items():
        path = Path(name)
        if path.is_file():
            folder = _pack(path, root)
            folders.append(folder)
            shipped[key] = f"{folder.name}/{path.name}"
    return shipped, list(dict.fromkeys(folders))


def _pack(path: Path, root: Path) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    folder = root / f"sweeps_data_{digest}"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / path.name)
    return folder

"""The files a job takes to the cluster: this code, the sweep file, and arrays and tables from this machine's disk."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from sweeps.cluster.plugin_shipment import copy_sources, source_of
from sweeps.config import SweepConfig
from sweeps.config.plugin_settings import path_settings
from sweeps.config.plugin_source import NamedPlugin, plugins_of
from sweeps.errors import DataError
from sweeps.tracking.plugin_tags import tags_of

_PACKAGE = Path(__file__).parents[2]
# Ray's own store takes packages up to about this size.
MAX_ARRAY_BYTES = 450 * 2**20


@dataclass(frozen=True)
class JobFiles:
    """Folders on this disk to upload: the job's working folder, and one for each array, named by its digest.

    `plugin_tags` describe the plug-ins whose code is in the working folder.
    """

    working_folder: Path
    array_folders: tuple[Path, ...] = ()
    plugin_tags: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def job_files(config: SweepConfig | None = None, plugins: Sequence[NamedPlugin] = ()) -> Iterator[JobFiles]:
    """Yield temporary folders with the files of a job: the code, and that of `plugins`; with a config, its sweep file.

    The plug-ins that the config names are sent too. Raises ConfigError or ClusterError if one cannot be sent.

    Ray addresses each folder by its content, and uploads only what the cluster does not have yet.
    """
    with TemporaryDirectory(prefix="sweeps-submit-") as temporary:
        root = Path(temporary)
        working = root / "working"
        shutil.copytree(_PACKAGE, working / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        shutil.copyfile(Path(__file__).with_name("bootstrap.py"), working / "bootstrap.py")
        arrays: list[Path] = []
        plugins = plugins_of(config) if config is not None else plugins
        copy_sources(map(source_of, plugins), working)
        if config is not None:
            document = config.to_dict()
            document["data"], arrays = _copy_arrays(document["data"], root)
            (working / "sweep.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
        yield JobFiles(working, tuple(arrays), tags_of(plugins))


def array_files(config: SweepConfig) -> tuple[list[Path], list[Path]]:
    """Return the files of a sweep's data section that are on this machine, and those that are not.

    Raises DataError if one is too large to send.
    """
    named = _array_files(config.to_dict()["data"])
    local = {key: path for key, path in named.items() if path.is_file()}
    for key, path in local.items():
        n_bytes = path.stat().st_size
        if n_bytes > MAX_ARRAY_BYTES:
            raise DataError(
                f"data.{key}: {path} must have at most {MAX_ARRAY_BYTES // 2**20} MiB to be sent with the sweep, not "
                f"{n_bytes // 2**20}: copy it to a folder that the cluster shares, and set data.{key} to its path there"
            )
    return list(local.values()), [path for key, path in named.items() if key not in local]


def _array_files(data: Mapping[str, Any]) -> dict[str, Path]:
    return {key: Path(data[key]).expanduser() for key in path_settings(data) if data.get(key)}


def _copy_arrays(data: dict[str, Any], root: Path) -> tuple[dict[str, Any], list[Path]]:
    """Copy the arrays on this disk; return the data section with their paths in the job, and their folders.

    Other paths stay as they are: they may exist on the cluster.
    """
    folders = []
    shipped = dict(data)
    for key, path in _array_files(data).items():
        if path.is_file():
            folder = _copy(path, root)
            folders.append(folder)
            shipped[key] = f"{folder.name}/{path.name}"
    return shipped, list(dict.fromkeys(folders))


def _copy(path: Path, root: Path) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    folder = root / f"sweeps_data_{digest}"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / path.name)
    return folder

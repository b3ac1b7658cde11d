"""The files a job takes to the cluster: this code, the sweep file, and arrays and tables from this machine's disk."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeps.cluster.plugin_shipment import copy_sources
from sweeps.config import SweepConfig
from sweeps.config.plain_yaml import write_yaml
from sweeps.config.plugin_settings import with_paths
from sweeps.config.plugin_source import NamedPlugin, plugins_of, source_of
from sweeps.datamodules.own_data_config import expanded
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
            (working / "sweep.yaml").write_text(write_yaml(document), encoding="utf-8")
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


def check_arrays(config: SweepConfig) -> list[str]:
    """Check the arrays that will be sent with a sweep; return a line for each file that will not.

    Raises DataError if an array is damaged or does not fit the sweep, or cannot give an objective or a gate.
    """
    local, missing = array_files(config)
    if local and not missing:
        from sweeps.trial.dataset import check_data

        check_data(config)
    kinds = {path: "a folder, which is not sent" if path.is_dir() else "not on this machine" for path in missing}
    return [f"{path} is {kind}: the cluster must have it at that path" for path, kind in kinds.items()]


def _array_files(data: Mapping[str, Any]) -> dict[str, Path]:
    found: dict[str, Path] = {}

    def collect(setting: str, path: str) -> str:
        found[setting] = expanded(Path(path))
        return path

    with_paths(data, collect)
    return found


def _copy_arrays(data: dict[str, Any], root: Path) -> tuple[dict[str, Any], list[Path]]:
    """Copy the arrays on this disk; return the data section with their paths in the job, and their folders.

    Other paths stay as they are: they may exist on the cluster.
    """
    folders: list[Path] = []

    def ship(_setting: str, path: str) -> str:
        local = expanded(Path(path))
        if not local.is_file():
            return path
        folders.append(_copy(local, root))
        return f"{folders[-1].name}/{local.name}"

    return with_paths(data, ship), list(dict.fromkeys(folders))


def _copy(path: Path, root: Path) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    folder = root / f"sweeps_data_{digest}"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / path.name)
    return folder

"""Read published data sets of four IDX files, and download files that are not there yet."""

import logging
import math
import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweeps.datamodules.arrays import DatasetError, Split
from sweeps.datamodules.idx import read_idx
from sweeps.datamodules.splits import Source

if TYPE_CHECKING:
    from sweeps.bounded_http import Limits

CONNECT_SECONDS, READ_SECONDS = 5, 60
DOWNLOAD_SECONDS = 1800.0
_CHUNK_BYTES = 2**16


@dataclass(frozen=True)
class PublishedFile:
    """An IDX file: its name without `.gz`, its shape, and the MD5 of its decompressed bytes (mirrors recompress)."""

    name: str
    shape: tuple[int, ...]
    md5: str


@dataclass(frozen=True)
class PublishedDataset:
    """Four IDX files, and the web folders that offer each as NAME.gz."""

    name: str
    mirrors: tuple[str, ...]
    train_images: PublishedFile
    train_labels: PublishedFile
    test_images: PublishedFile
    test_labels: PublishedFile

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """All four files."""
        return self.train_images, self.train_labels, self.test_images, self.test_labels


def load_published(dataset: PublishedDataset) -> Source:
    """Return the data set from SWEEPS_DATA_DIR if that is set; else from the cache, after downloading what is missing.

    Raises DatasetError, which names the files that are missing or damaged, and where to put them.
    """
    paths = _locate(dataset)
    arrays = {file: read_idx(paths[file], file.shape, file.md5) for file in dataset.files}
    height, width = dataset.train_images.shape[1:]
    return Source(
        dataset.name,
        Split(
            arrays[dataset.train_images].reshape(-1, height * width),
            arrays[dataset.train_labels].astype(np.int64),
        ),
        test=Split(
            arrays[dataset.test_images].reshape(-1, height * width),
            arrays[dataset.test_labels].astype(np.int64),
        ),
        scale=1 / 255,
        image_shape=(height, width),
        n_classes=10,
    )


def _home() -> Path:
    """Return the folder of cached data: `SWEEPS_LOCAL`, or `SWEEPS_HOME` if that is a path and not a URL."""
    home = os.environ.get("SWEEPS_LOCAL") or os.environ.get("SWEEPS_HOME") or "~/.sweeps"
    return Path("~/.sweeps" if "://" in home else home)


def _locate(dataset: PublishedDataset) -> dict[PublishedFile, Path]:
    own = os.environ.get("SWEEPS_DATA_DIR")
    root = Path(own) if own else _home() / "data"
    folder = root.expanduser() / dataset.name
    found = {file: _find(file, folder) for file in dataset.files}
    missing = [file for file, path in found.items() if path is None]
    if missing and own:
        raise DatasetError(
            f"SWEEPS_DATA_DIR is set, so {dataset.name} is read from {folder} alone, which lacks {_names(missing)}: "
            f"put the files there (each as NAME or NAME.gz), or unset SWEEPS_DATA_DIR to have them fetched"
        )
    if missing:
        _fetch(dataset, missing, folder)
    return {file: path or folder / f"{file.name}.gz" for file, path in found.items()}


def _find(file: PublishedFile, folder: Path) -> Path | None:
    return next((path for path in (folder / file.name, folder / f"{file.name}.gz") if path.is_file()), None)


def _fetch(dataset: PublishedDataset, missing: list[PublishedFile], folder: Path) -> None:
    """Download missing files into `folder`; a file appears there complete and verified, or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as scratch:
            for file in missing:
                _fetch_file(file, dataset.mirrors, Path(scratch)).replace(folder / f"{file.name}.gz")
    except (OSError, DatasetError) as error:
        raise DatasetError(
            f"{dataset.name} needs {_names(missing)}, which could be neither found in {folder} nor fetched ({error}): "
            f"put the files there (each as NAME or NAME.gz), or set SWEEPS_DATA_DIR to a folder that has them in "
            f"{dataset.name}/"
        ) from error


def _fetch_file(file: PublishedFile, mirrors: tuple[str, ...], scratch: Path) -> Path:
    """Return the file from the first mirror that has the published one."""
    import pooch  # only if something is missing

    from sweeps.bounded_http import MEGABYTE, Limits

    pooch.get_logger().setLevel(logging.WARNING)  # it suggests hashes of compressed files, which differ between mirrors
    # Compressed, a file is smaller than its values.
    limits = Limits(transfer_bytes=math.prod(file.shape) + MEGABYTE, transfer_seconds=DOWNLOAD_SECONDS)
    download = partial(_download, limits)
    failures = []
    for number, mirror in enumerate(mirrors):
        url = f"{mirror}{file.name}.gz"
        try:
            fetched = Path(pooch.retrieve(url, None, f"{file.name}-{number}.gz", scratch, downloader=download))
            read_idx(fetched, file.shape, file.md5)
            return fetched
        except DatasetError:
            failures.append(f"{url}: not the published file")
        except (OSError, ValueError) as error:  # exceptions of requests are OSErrors
            status = getattr(getattr(error, "response", None), "status_code", "")
            failures.append(f"{url}: {type(error).__name__} {status}".rstrip())
    raise DatasetError("; ".join(failures))


def _download(limits: "Limits", url: str, path: str, _pooch: object) -> None:
    """Write the file at `url` to `path`. Mirrors redirect, which is harmless: no credentials are sent."""
    from sweeps.bounded_http import bounded_session

    with (
        bounded_session(limits, follows_redirects=True) as session,
        session.get(url, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True) as answer,
        Path(path).open("wb") as file,
    ):
        answer.raise_for_status()
        for part in answer.iter_content(_CHUNK_BYTES):
            file.write(part)


def _names(files: list[PublishedFile]) -> str:
    return ", ".join(file.name for file in files)

"""PCA of a data set, cached on disk: fitting it takes most of the time before a sweep's first trial."""

import json
import os
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from sweeps.datamodules.arrays import DataArrays
from sweeps.models.metrics import References, references_of
from sweeps.models.pca import PrincipalComponents, fit_pca
from sweeps.storage.atomic_write import replacing
from sweeps.storage.private_files import make_folder, open_file

# For larger codes only the error of PCA is kept: the components of ten thousand features would take 400 MB.
MAX_COMPONENTS = 1000
# Part of the file names: increase it when the way to fit or to write changes.
_VERSION = 1
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def pca_of(arrays: DataArrays, folder: Path) -> tuple[PrincipalComponents, References]:
    """Return PCA of the training split, at most MAX_COMPONENTS components, and its errors on the validation split.

    A file in `folder` caches it under a digest of the scaled samples of both splits; a damaged file is replaced.
    """
    path = folder / f"{_digest(arrays)}.npz"
    with suppress(OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error):
        return _read(path)
    fitted = fit_pca(arrays.train.inputs, arrays.scale)
    references = references_of(fitted, arrays.valid.inputs, arrays.scale)
    pca = fitted.first(MAX_COMPONENTS)
    with suppress(OSError):  # without the file, the next sweep fits again
        _write(path, pca, references)
    return pca, references


def _digest(arrays: DataArrays) -> str:
    splits = [split.inputs for split in (arrays.train, arrays.valid)]
    header = [_VERSION, arrays.scale, *([list(inputs.shape), inputs.dtype.str] for inputs in splits)]
    digest = sha256(json.dumps(header).encode())
    for inputs in splits[: 1 if arrays.valid is arrays.train else 2]:
        digest.update(np.ascontiguousarray(inputs).data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[PrincipalComponents, References]:
    with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file, np.load(file, allow_pickle=False) as saved:
        pca = PrincipalComponents(saved["mean"], saved["components"], int(saved["rank"]))
        return pca, References(saved["pca_mse"])


def _write(path: Path, pca: PrincipalComponents, references: References) -> None:
    make_folder(path.parent)
    rank = np.asarray(pca.rank)
    with replacing(path) as partial, os.fdopen(open_file(partial, _NEW), "wb") as file:
        np.savez(file, mean=pca.mean, components=pca.components, rank=rank, pca_mse=references.pca_mse)

"""PCA of a data set, cached on disk: fitting it takes most of the time before a sweep's first trial."""

import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np

from sweeps.datamodules.arrays import DataArrays
from sweeps.models.metrics import References, references_of
from sweeps.models.pca import PrincipalComponents, fit_pca
from sweeps.storage.array_file import ArrayFileError, read_arrays
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
    with suppress(ArrayFileError):
        return _read(path, arrays.n_features)
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


def _read(path: Path, n_features: int) -> tuple[PrincipalComponents, References]:
    saved = read_arrays(path)
    shapes = {name: array.shape for name, array in saved.items()}
    n_components = shapes.get("components", ())[-1:]
    expected = {
        "mean": (n_features,),
        "components": (n_features, *n_components),
        "rank": (),
        "pca_mse": (n_features + 1,),
    }
    if shapes != expected:
        raise ArrayFileError(f"{path} must hold PCA of {n_features} features, and holds something else")
    return PrincipalComponents(saved["mean"], saved["components"], int(saved["rank"])), References(saved["pca_mse"])


def _write(path: Path, pca: PrincipalComponents, references: References) -> None:
    make_folder(path.parent)
    rank = np.asarray(pca.rank)
    with replacing(path) as partial, os.fdopen(open_file(partial, _NEW), "wb") as file:
        np.savez(file, mean=pca.mean, components=pca.components, rank=rank, pca_mse=references.pca_mse)

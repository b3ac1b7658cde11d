"""What the figures of a sweep compare its trials with: the mean of the data, and PCA; saved once per sweep."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.figures.table import N_CODES
from sweeps.models.pca import PrincipalComponents
from sweeps.storage.atomic_write import write_or_raise
from sweeps.storage.object_store import Place
from sweeps.trial.dataset import Dataset


def save_references(path: Place, config: SweepConfig, dataset: Dataset) -> None:
    """Write the mean of the data and the first components of PCA.

    `mean` is (features,). `components`, (features, n), has as many as the largest code that is smaller than the input.
    If a code may have two units, `codes`, (samples, 2), holds PCA's codes of the validation samples whose codes trials
    save, and `labels`, (samples,), their labels. If a model standardises features, `components` has none and `codes` is
    left out: its PCA is that of standardised features, and this one is not.
    """
    n_features, trials = dataset.references.n_features, config.corner_trials()
    sizes = [size for trial in trials if (size := trial.model.code_size) is not None]
    if any(trial.model.standardize == "feature" for trial in trials):
        sizes = []
    saved: dict[str, NDArray[Any]] = {"mean": dataset.pca.mean.astype(np.float32)}
    n_components = min(max(sizes, default=0), n_features - 1)
    if (n_components and min(sizes) < n_features) or dataset.standardized is not None:
        saved["components"] = dataset.pca.first(n_components).components
    if sizes and min(sizes) <= 2 <= max(sizes) and n_features > 2 <= dataset.pca.components.shape[1]:
        saved |= _codes(dataset.pca.first(2), DataArrays.from_dict(dataset.arrays))
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **saved)
    write_or_raise(path, content.getvalue())


def _codes(pca: PrincipalComponents, arrays: DataArrays) -> dict[str, NDArray[Any]]:
    rows = arrays.valid.spread(N_CODES)
    codes = {"codes": pca.encode(arrays.valid.inputs[rows] * arrays.scale).astype(np.float32)}
    return codes if arrays.valid.labels is None else codes | {"labels": arrays.valid.labels[rows]}

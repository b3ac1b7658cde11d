"""Principal component analysis, the linear autoencoder to beat: one decomposition serves every size of code."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

_CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class PrincipalComponents:
    """The directions of most variance: `components` (features, n) are orthonormal columns, most variance first.

    `mean` (features,) is the mean of the data. The data determine only the first `rank` columns.
    """

    mean: Floats
    components: Array
    rank: int

    def first(self, n: int) -> "PrincipalComponents":
        """Return the first `n` components, or as many as there are, in float32: precise enough for figures."""
        kept = np.ascontiguousarray(self.components[:, :n], np.float32)
        return PrincipalComponents(self.mean, kept, min(self.rank, kept.shape[1]))

    def encode(self, samples: Array) -> Array:
        """Return the codes (samples, n) of `samples` (samples, features); a missing value, NaN, counts as the mean."""
        return np.asarray(_present(np.asarray(samples - self.mean)) @ self.components)

    def reconstruct(self, samples: Array) -> Array:
        """Return `samples` (samples, features) as reconstructed from their codes."""
        return np.asarray(self.mean + self.encode(samples) @ self.components.T)


def fit_pca(train: Array, scale: float) -> PrincipalComponents:
    """Fit all components on `train` (samples, features), multiplied by `scale` first.

    All arithmetic is float64, on chunks of bounded size; if there are fewer samples than features, all of `train` is
    held in float64. The data leave a component's sign open: its largest weight is made positive. Missing values, NaN,
    count as the mean of their feature.
    """
    n_samples, n_features = train.shape
    mean = feature_means(train) * scale
    if n_samples < n_features:
        centred = _present(np.concatenate(list(centred_chunks(train, mean, scale))))
        _, singular_values, rows = np.linalg.svd(centred, full_matrices=False)
        components, variances = rows.T, singular_values**2
        # Singular values are exact to rounding of the largest one, so their squares resolve far smaller variances.
        resolution = (n_features * np.finfo(np.float64).eps) ** 2
    else:
        scatter = np.zeros((n_features, n_features))
        for chunk in map(_present, centred_chunks(train, mean, scale)):
            scatter += chunk.T @ chunk
        ascending, vectors = np.linalg.eigh(scatter)
        components, variances = np.ascontiguousarray(vectors[:, ::-1]), ascending[::-1]
        resolution = n_features * np.finfo(np.float64).eps
    rank = int(np.count_nonzero(variances > resolution * variances[0]))
    return PrincipalComponents(mean, components * _signs(components), rank)


def feature_means(inputs: Array) -> Floats:
    """Return the mean of each feature, (features,), over the samples of `inputs` (samples, features) that have it."""
    means: Floats = inputs.mean(axis=0, dtype=np.float64)
    return np.nanmean(inputs, axis=0, dtype=np.float64) if np.isnan(means).any() else means


def centred_chunks(inputs: Array, mean: Floats, scale: float) -> Iterator[Floats]:
    """Yield consecutive rows of `inputs` (samples, features) as float64, scaled and minus `mean`."""
    n_rows = max(1, _CHUNK_BYTES // (8 * max(1, inputs.shape[1])))
    for start in range(0, len(inputs), n_rows):
        chunk = np.multiply(inputs[start : start + n_rows], scale, dtype=np.float64)
        chunk -= mean
        yield chunk


def _present(centred: Array) -> Array:
    """Replace missing values, NaN, by 0, in place: the mean of centred features."""
    centred[np.isnan(centred)] = 0
    return centred


def _signs(components: Floats) -> Floats:
    """Return the sign of the largest entry of each column."""
    largest = np.abs(components).argmax(axis=0)
    return np.where(components[largest, np.arange(components.shape[1])] < 0, -1.0, 1.0)

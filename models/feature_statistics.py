"""Each feature's mean and standard deviation over the training split, and the values that they standardise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.models.pca import centred_chunks

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Inputs are float32: a deviation up to one rounding step of the largest value, or too small to divide by, is constant.
_ROUNDING, _SMALLEST = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """The `mean` and the standard `deviation` of the scaled training inputs, (features,) each, in float64.

    A constant feature has a deviation of 0, and a feature without values a mean of 0 too. Missing values (NaN) do not
    count. `has_missing`: whether samples may have them.
    """

    mean: Floats
    deviation: Floats
    has_missing: bool = False

    def standardize(self, scaled: Array) -> Floats:
        """Return scaled values (samples, features) minus the mean, in units of the deviation; 0 if it is 0."""
        varies = self.deviation > 0
        centred = np.subtract(scaled, self.mean, dtype=np.float64)
        return np.divide(
            centred, self.deviation, out=np.zeros_like(centred), where=np.broadcast_to(varies, centred.shape)
        )

    def restore(self, standardized: Array) -> Floats:
        """Return standardised values (samples, features) in the units of the scaled inputs."""
        return np.asarray(self.mean + self.deviation * standardized)


def feature_statistics(train: Array, scale: float) -> FeatureStatistics:
    """Return the statistics of `train` (samples, features) times `scale`."""
    zeros = np.zeros(train.shape[1])
    count = np.maximum(_over_chunks(train, zeros, scale, lambda rows: ~np.isnan(rows)), 1)
    mean = _over_chunks(train, zeros, scale, np.nan_to_num) / count
    deviation = np.sqrt(_over_chunks(train, mean, scale, lambda rows: np.nan_to_num(rows) ** 2) / count)
    largest = np.zeros(train.shape[1])
    for rows in centred_chunks(train, zeros, scale):
        largest = np.fmax(largest, np.abs(rows).max(axis=0, initial=0.0, where=~np.isnan(rows)))
    deviation[deviation <= np.maximum(_ROUNDING * largest, _SMALLEST)] = 0.0
    return FeatureStatistics(mean, deviation, _has_missing(train))


def _has_missing(inputs: Array) -> bool:
    return inputs.dtype.kind == "f" and bool(np.isnan(inputs.min(initial=0.0)))


def _over_chunks(inputs: Array, mean: Floats, scale: float, take: Callable[[Floats], Array]) -> Floats:
    """Return the sum over samples of `take`, which maps rows (rows, features) of scaled inputs minus `mean`."""
    total = np.zeros(inputs.shape[1])
    for rows in centred_chunks(inputs, mean, scale):
        total += take(rows).sum(axis=0)
    return total

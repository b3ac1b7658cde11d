"""Find features of very different scales: the largest of them make up the error, and the others are not learned."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweeps.models.diagnosis.changes import standardize
from sweeps.models.diagnosis.findings import Finding, FindingName
from sweeps.models.metrics import constant_units

if TYPE_CHECKING:
    from sweeps.models.diagnosis.evidence import Evidence

Array = NDArray[Any]

# If half of the features have less than this share of the variance, learning all of them gains next to nothing.
# Measured: 0.07 for MNIST's pixels and 6e-4 for the 29 blobs, whose pixels are nearly always black; 1e-5 for columns of
# scikit-learn's wine data, 3e-8 for those of its breast cancer data.
_SMALL_HALF = 1e-4
# A feature with less than a tenth of its variance explained is not learned.
_HARDLY_ANY = 0.1


@dataclass(frozen=True)
class FeatureScales:
    """How far the standard deviations of the inputs differ, in the units of the loss; constant features do not count.

    `ratio` is the largest over the smallest, and `small_half` the share of the variance that the half of the features
    with the smaller deviations has.
    """

    ratio: float
    small_half: float

    @property
    def differ(self) -> bool:
        """Whether the loss hardly depends on half of the features."""
        return self.small_half < _SMALL_HALF


def feature_scales(samples: Array) -> FeatureScales | None:
    """Return the scales of `samples` (samples, features); None if fewer than two features vary."""
    varying = samples[:, ~constant_units(samples)].astype(np.float64)
    if varying.shape[1] < 2:
        return None
    variances = np.sort(np.var(varying, axis=0))
    small = variances[: len(variances) // 2].sum()
    return FeatureScales(math.sqrt(variances[-1] / variances[0]), float(small / variances.sum()))


def different_scales(evidence: "Evidence") -> Iterator[Finding]:
    """Find scales that keep half of the features from being learned, or that made the training diverge."""
    if evidence.scales is None or not evidence.scales.differ:
        return
    numbers = {"largest deviation over the smallest": evidence.scales.ratio}
    if evidence.originals is None or evidence.reconstructions is None:
        if not _diverged(evidence):
            return
    else:
        varies = ~constant_units(evidence.originals)
        originals = evidence.originals[:, varies].astype(np.float64)
        errors = np.square(evidence.reconstructions[:, varies] - originals).mean(axis=0)
        ignored = float(np.mean(errors > (1 - _HARDLY_ANY) * np.var(originals, axis=0)))
        if not ignored > 0.5:
            return
        numbers["share of the error from one feature"] = float(errors.max() / errors.sum())
        numbers["share of features no better than their mean"] = ignored
    yield Finding.advising(
        FindingName.DIFFERENT_SCALES,
        numbers,
        standardize(evidence.settings, "feature"),
        "the loss hardly depends on half of the features",
    )


def _diverged(evidence: "Evidence") -> bool:
    return any(not math.isfinite(value) for _, metrics in evidence.history for value in metrics.values())

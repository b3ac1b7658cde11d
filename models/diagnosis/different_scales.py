"""Find features of very different scales: the largest of them make up the error, and the others are not learned."""

import math
from collections.abc import Iterator

import numpy as np

from sweeps.models.diagnosis.changes import standardize
from sweeps.models.diagnosis.evidence import Evidence
from sweeps.models.diagnosis.findings import Finding, FindingName
from sweeps.models.metrics import constant_units

# A feature with less than a tenth of its variance explained is not learned.
_HARDLY_ANY = 0.1


def different_scales(evidence: Evidence) -> Iterator[Finding]:
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


def _diverged(evidence: Evidence) -> bool:
    return any(not math.isfinite(value) for _, metrics in evidence.history for value in metrics.values())

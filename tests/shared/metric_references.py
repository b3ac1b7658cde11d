"""The references of metrics, from arrays alone."""

from typing import Any

from numpy.typing import NDArray

from sweeps.models.metrics import References, references_of
from sweeps.models.pca import fit_pca


def references(train: NDArray[Any], valid: NDArray[Any], scale: float) -> References:
    """Fit PCA of every size on `train`, and measure it on `valid`, both (samples, features) and scaled first."""
    return references_of(fit_pca(train, scale), valid, scale)

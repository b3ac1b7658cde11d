"""Data sets that are computed: blobs, the images on which "why are there no blob-shaped filters?" was asked."""

import numpy as np
from numpy.typing import NDArray

from datamodules.arrays import Split
from datamodules.splits import Source

SIDE = 28
HEIGHT = 2.0
SIGMA = 2.0


def blobs(subset: str) -> Source:
    """`full`: 784 images, the i-th a delta of height 2 at pixel i, blurred; `stripe`: 29 of them on two diagonals.

    The blur is scikit-image's Gaussian filter: sigma 2, edges repeated, cut off at 4 sigma.
    """
    images = blurred_deltas().astype(np.float32)
    chosen = images[10::27] if subset == "stripe" else images
    return Source(f"blobs-{subset}", Split(np.ascontiguousarray(chosen)), image_shape=(SIDE, SIDE))


def blurred_deltas() -> NDArray[np.float64]:
    """One blurred delta a pixel: (784, 784), in double precision."""
    from scipy.ndimage import gaussian_filter  # 0.4 s that other data sets need not pay

    deltas = HEIGHT * np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    blurred: NDArray[np.float64] = gaussian_filter(deltas, sigma=(0, SIGMA, SIGMA), mode="nearest", truncate=4.0)
    return blurred.reshape(-1, SIDE * SIDE)

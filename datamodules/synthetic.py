"""Data sets that are computed: blobs, the images on which "why are there no blob-shaped filters?" was asked; noise."""

import math

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import Split
from sweeps.datamodules.config import BlobsConfig, NormalConfig, RowsConfig, UniformConfig
from sweeps.datamodules.splits import Source

SIDE = 28
HEIGHT = 2.0
SIGMA = 2.0


def blobs(section: BlobsConfig) -> Source:
    """`full`: 784 images, the i-th a delta of height 2 at pixel i, blurred; `stripe`: 29 of them on two diagonals.

    The blur is scikit-image's Gaussian filter: sigma 2, edges repeated, cut off at 4 sigma.
    """
    images = blurred_deltas().astype(np.float32)
    chosen = images[10::27] if section.subset == "stripe" else images
    return Source(f"blobs-{section.subset}", Split(np.ascontiguousarray(chosen)), image_shape=(SIDE, SIDE))


def uniform(section: UniformConfig) -> Source:
    """Independent draws from U(0, 1): a 24-bit fraction each, from PCG64's raw bits, which NumPy never changes."""
    shape = section.n_samples, section.n_features
    fractions = (np.random.PCG64(section.seed).random_raw(math.prod(shape)) >> np.uint64(40)).astype(np.float32)
    return Source("uniform", Split((fractions * np.float32(2**-24)).reshape(shape)))


def normal(section: NormalConfig) -> Source:
    """Independent draws from N(mean, standard_deviation²), in float32.

    The same seed gives the same draws with one version of NumPy; the checksum tells where another gave others.
    """
    generator = np.random.Generator(np.random.PCG64(section.seed))
    drawn = generator.standard_normal((section.n_samples, section.n_features))
    drawn *= section.standard_deviation
    drawn += section.mean
    return Source("normal", Split(drawn.astype(np.float32)))


def rows(section: RowsConfig) -> Source:
    """Samples as they are written, a row each, in float32."""
    return Source("rows", Split(np.array(section.rows, np.float32)))


def blurred_deltas() -> NDArray[np.float64]:
    """One blurred delta a pixel: (784, 784), in double precision."""
    from scipy.ndimage import gaussian_filter  # 0.4 s that other data sets need not pay

    deltas = HEIGHT * np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    blurred: NDArray[np.float64] = gaussian_filter(deltas, sigma=(0, SIGMA, SIGMA), mode="nearest", truncate=4.0)
    return blurred.reshape(-1, SIDE * SIDE)

"""Data sets that are computed: blobs, random features, and rows written in the sweep file."""

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
    """Return blobs, from the published question of why filters are not blob-shaped.

    `full` has 784 images, the i-th a blurred delta of height 2 at pixel i; `stripe` has 29 of them on two diagonals.
    The blur is scikit-image's Gaussian filter: sigma 2, edges repeated, truncated at 4 sigma.
    """
    images = blurred_deltas().astype(np.float32)
    chosen = images[10::27] if section.subset == "stripe" else images
    return Source(f"blobs-{section.subset}", Split(np.ascontiguousarray(chosen)), image_shape=(SIDE, SIDE))


def uniform(section: UniformConfig) -> Source:
    """Return independent draws from U(0, 1): 24-bit fractions from PCG64's raw bits, which NumPy never changes."""
    shape = section.n_samples, section.n_features
    fractions = (np.random.PCG64(section.seed).random_raw(math.prod(shape)) >> np.uint64(40)).astype(np.float32)
    return Source("uniform", Split((fractions * np.float32(2**-24)).reshape(shape)))


def normal(section: NormalConfig) -> Source:
    """Return independent draws from N(mean, standard_deviation²), in float32.

    The same seed gives the same draws with the same version of NumPy; the checksum shows if another version differs.
    """
    generator = np.random.Generator(np.random.PCG64(section.seed))
    drawn = generator.standard_normal((section.n_samples, section.n_features))
    drawn *= section.standard_deviation
    drawn += section.mean
    return Source("normal", Split(drawn.astype(np.float32)))


def rows(section: RowsConfig) -> Source:
    """Return the rows of the section as samples, in float32."""
    return Source("rows", Split(np.array(section.rows, np.float32)))


def blurred_deltas() -> NDArray[np.float64]:
    """Return one blurred delta per pixel: (784, 784), in double precision."""
    from scipy.ndimage import gaussian_filter  # takes 0.4 s, which other data sets are spared

    deltas = HEIGHT * np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    blurred: NDArray[np.float64] = gaussian_filter(deltas, sigma=(0, SIGMA, SIGMA), mode="nearest", truncate=4.0)
    return blurred.reshape(-1, SIDE * SIDE)

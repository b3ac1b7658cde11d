"""scikit-learn's bundled digits: 1,797 images of 8x8 pixels from 0 to 16."""

import numpy as np

from sweeps.datamodules.arrays import Split
from sweeps.datamodules.config import DigitsConfig
from sweeps.datamodules.splits import Source


def load(_section: DigitsConfig) -> Source:
    """Return all images with their labels."""
    from sklearn.datasets import load_digits  # takes most of a second, which other data sets are spared

    digits = load_digits()
    samples = Split(digits.data.astype(np.uint8), digits.target.astype(np.int64))
    return Source("digits", samples, scale=1 / 16, image_shape=(8, 8), n_classes=10)

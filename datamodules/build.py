"""From the `data` section of a config to the arrays it names, split."""

import numpy as np

from sweeps.datamodules.array_files import load_array
from sweeps.datamodules.arrays import DataArrays, Split
from sweeps.datamodules.config import (
    ArrayConfig,
    BlobsConfig,
    DataConfig,
    DigitsConfig,
    FashionMnistConfig,
    MnistConfig,
    NormalConfig,
    RowsConfig,
    UniformConfig,
)
from sweeps.datamodules.published import FASHION_MNIST, MNIST, load_published
from sweeps.datamodules.splits import Source, split
from sweeps.datamodules.synthetic import blobs, normal, rows, uniform


def load_arrays(config: DataConfig) -> DataArrays:
    """The data set that `config` names, split as it says. Raises DatasetError, one line for each thing wrong."""
    return split(_load_source(config), config)


def _load_source(config: DataConfig) -> Source:
    match config:
        case DigitsConfig():
            return _digits()
        case MnistConfig():
            return load_published(MNIST)
        case FashionMnistConfig():
            return load_published(FASHION_MNIST)
        case BlobsConfig():
            return blobs(config.subset)
        case UniformConfig():
            return uniform(config.n_samples, config.n_features, config.seed)
        case NormalConfig():
            return normal(config.n_samples, config.n_features, config.mean, config.standard_deviation, config.seed)
        case RowsConfig():
            return rows(config.rows)
        case ArrayConfig():
            return load_array(config)


def _digits() -> Source:
    """scikit-learn's bundled digits: 1,797 images of 8x8 pixels from 0 to 16."""
    from sklearn.datasets import load_digits  # most of a second that other data sets need not pay

    digits = load_digits()
    samples = Split(digits.data.astype(np.uint8), digits.target.astype(np.int64))
    return Source("digits", samples, scale=1 / 16, image_shape=(8, 8), n_classes=10)

"""The references of a trial's metrics, in the units of its errors: standardised if its model standardises features."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sweeps.datamodules.arrays import DataArrays, Split, chunks
from sweeps.models.config import ModelConfig
from sweeps.models.feature_statistics import FeatureStatistics, feature_statistics
from sweeps.models.metrics import References
from sweeps.trial.pca_cache import pca_of


def needs_statistics(model: ModelConfig, arrays: DataArrays) -> bool:
    """Return whether a network needs the statistics of the training split, to standardise or to fill missing values."""
    return model.standardize == "feature" or arrays.has_missing


def statistics_of(arrays: DataArrays) -> FeatureStatistics:
    """Return the statistics of the scaled training inputs.

    A network for data that may have missing values fills them, even if none is missing now: samples to score may.
    """
    return replace(feature_statistics(arrays.train.inputs, arrays.scale), has_missing=arrays.has_missing)


def pick_references(model: ModelConfig, raw: References, standardized: References | None) -> References:
    """Return those of two references that are in the units of a model's errors."""
    if model.standardize != "feature":
        return raw
    assert standardized is not None, "a sweep with a model that standardises features has their references"
    return standardized


def references_for(model: ModelConfig, arrays: DataArrays, folder: Path) -> References:
    """Return the errors of PCA and of the mean predictor on the validation split; `folder` caches PCA."""
    if model.standardize != "feature":
        return pca_of(arrays, folder)[1]
    return standardized_references(arrays, statistics_of(arrays), folder)


def standardized_references(arrays: DataArrays, statistics: FeatureStatistics, folder: Path) -> References:
    """Return the same for standardised features: PCA is then that of the correlation matrix."""
    return pca_of(standardized(arrays, statistics), folder)[1]


def standardized(arrays: DataArrays, statistics: FeatureStatistics) -> DataArrays:
    """Return `arrays` with standardised inputs, in float32, for training and validation; without other test samples."""
    train = _standardized(arrays.train, arrays.scale, statistics)
    valid = train if arrays.valid is arrays.train else _standardized(arrays.valid, arrays.scale, statistics)
    test = valid if arrays.valid is arrays.test else train.take(np.arange(0))
    return replace(arrays, train=train, valid=valid, test=test, scale=1.0)


def _standardized(split: Split, scale: float, statistics: FeatureStatistics) -> Split:
    inputs = np.empty(split.inputs.shape, np.float32)
    start = 0
    for rows in chunks(split.inputs):
        inputs[start : start + len(rows)] = statistics.standardize(np.multiply(rows, scale, dtype=np.float64))
        start += len(rows)
    return Split(inputs, split.labels)

"""Losses and baselines on samples with missing values."""

from typing import Any

import numpy as np
import pytest

from sweeps.datamodules.arrays import DataArrays, Split
from sweeps.registry.sample_losses import Outputs, Samples, mean_predictor, pca_predictor, sample_losses

RNG = np.random.default_rng(0)


def samples_with_missing() -> tuple[DataArrays, Samples]:
    inputs = (RNG.normal(size=(90, 2)) @ RNG.normal(size=(2, 5)) + RNG.normal(size=(90, 5)) / 9).astype(np.float32)
    inputs[RNG.random(inputs.shape) < 0.2] = np.nan
    train, test = Split(inputs[:60]), Split(inputs[60:])
    description: dict[str, Any] = {"name": "own", "scale": 1.0, "image_shape": None, "n_classes": None}
    arrays = DataArrays(
        train=train, valid=test, test=test, checksum="", validate_on="test", seed=0, has_missing=True, **description
    )
    return arrays, Samples(test.inputs, None, test.inputs, train.inputs, None)


def test_losses_average_to_the_error_over_all_values_present() -> None:
    _, samples = samples_with_missing()
    reconstruction = RNG.normal(size=samples.inputs.shape)
    losses = sample_losses(lambda scaled: Outputs(reconstruction, scaled), "mse", samples)
    assert losses.mean() == pytest.approx(np.nanmean((reconstruction - samples.inputs) ** 2))
    assert np.isfinite(losses).all()


def test_a_prediction_that_is_not_finite_still_shows() -> None:
    _, samples = samples_with_missing()
    losses = sample_losses(lambda scaled: Outputs(np.full(scaled.shape, np.nan), scaled), "mse", samples)
    assert np.isnan(losses).all()


def test_baselines_are_fitted_on_the_values_present() -> None:
    arrays, samples = samples_with_missing()
    mean = sample_losses(mean_predictor(arrays), "mse", samples)
    expected = np.nanmean(arrays.train.inputs, axis=0, dtype=np.float64)
    assert mean.mean() == pytest.approx(np.nanmean((samples.inputs - expected) ** 2), rel=1e-6)
    for standardize in (False, True):
        pca = pca_predictor(arrays, 2, standardize=standardize)
        assert pca is not None
        assert sample_losses(pca, "mse", samples).mean() < 0.6 * mean.mean()

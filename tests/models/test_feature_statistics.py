"""Statistics of the training split, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.models.feature_statistics import feature_statistics

RNG = np.random.default_rng(0)
SCALES = 10.0 ** np.linspace(-13, 8.5, 20)
TABLE = ((RNG.normal(size=(300, 20)) + 2) * SCALES).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_they_are_those_of_each_scaled_feature_over_22_decades(scale: float) -> None:
    of = feature_statistics(TABLE, scale)
    scaled = TABLE.astype(np.float64) * scale

    np.testing.assert_allclose(of.mean, scaled.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(of.deviation, scaled.std(axis=0), rtol=1e-12)
    assert not of.has_missing


def test_bytes_are_read_in_chunks() -> None:
    images = RNG.integers(0, 256, (9000, 700)).astype(np.uint8)
    of = feature_statistics(images, 1 / 255)
    np.testing.assert_allclose(of.deviation, images.std(axis=0) / 255, rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 1.7e9, -3e8, 1e-13, 0.1])
def test_a_feature_that_is_constant_up_to_float32_rounding_has_no_deviation(value: float) -> None:
    column = np.full((500, 1), value, np.float32)
    column[0] = np.nextafter(column[0], np.float32(np.inf))

    assert feature_statistics(column, 1.0).deviation == 0


def test_a_feature_far_from_0_that_varies_by_more_than_rounding_is_not_constant() -> None:
    seconds = (1.7e9 + 3000 * RNG.normal(size=(1000, 1))).astype(np.float32)
    assert feature_statistics(seconds, 1.0).deviation == pytest.approx(3000, rel=0.1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_missing_values_do_not_count(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 2, (30, 4)).astype(np.float32)
    values[rng.random(values.shape) < share] = np.nan
    of = feature_statistics(values, 1.0)

    for k, column in enumerate(values.T):
        known = column[~np.isnan(column)].astype(np.float64)
        expected = (known.mean(), known.std()) if len(known) else (0, 0)
        np.testing.assert_allclose((of.mean[k], of.deviation[k]), expected, atol=1e-7)
    assert of.has_missing == np.isnan(values).any()


def test_standardised_values_are_restored_and_constant_features_are_their_mean() -> None:
    table = TABLE.copy()
    table[:, 3] = 7
    of = feature_statistics(table, 1.0)
    standardized = of.standardize(table)

    np.testing.assert_allclose(standardized.std(axis=0), np.where(np.arange(20) == 3, 0, 1), atol=1e-9)
    np.testing.assert_allclose(of.restore(standardized), table, rtol=1e-6)

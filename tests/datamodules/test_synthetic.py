import numpy as np
import pytest
from pydantic import ValidationError

from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import NormalConfig, RowsConfig, UniformConfig

DRAWN_BY_SEED_7 = [3778349, 5035954, 10487361, 13013846, 14655794, 15052749]
PAIRS = ((0.37853141, 1.0), (0.59747807, 1.0))


def test_uniform_features_fill_the_unit_interval_independently() -> None:
    inputs = load_arrays(UniformConfig(n_samples=20_000, n_features=5, n_test=0)).train.inputs

    assert inputs.dtype == np.float32
    assert 0 <= inputs.min() < 1e-3
    assert 1 - 1e-3 < inputs.max() < 1
    # Standard errors are 0.002 of the mean, 0.0006 of the variance and 0.008 of a correlation.
    np.testing.assert_allclose(inputs.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(inputs.var(axis=0), 1 / 12, atol=0.003)
    np.testing.assert_allclose(np.corrcoef(inputs.T), np.eye(5), atol=0.04)


def test_normal_features_have_their_mean_and_deviation() -> None:
    config = NormalConfig(n_samples=20_000, n_features=5, mean=1.1090579, standard_deviation=0.0012380764, n_test=0)
    inputs = load_arrays(config).train.inputs.astype(np.float64)

    np.testing.assert_allclose(inputs.mean(axis=0), 1.1090579, atol=5e-5)
    np.testing.assert_allclose(inputs.std(axis=0), 0.0012380764, rtol=0.02)


@pytest.mark.parametrize("kind", [UniformConfig, NormalConfig])
def test_the_seed_determines_the_samples(kind: type[UniformConfig] | type[NormalConfig]) -> None:
    first, again, other = (load_arrays(kind(n_samples=60, n_features=3, seed=seed)).checksum for seed in (1, 1, 2))

    assert first == again != other


def test_uniform_features_are_the_same_with_every_version_of_numpy() -> None:
    arrays = load_arrays(UniformConfig(n_samples=3, n_features=2, n_test=0, validate_on="train", seed=7))

    assert sorted((arrays.train.inputs * 2**24).astype(int).flatten().tolist()) == DRAWN_BY_SEED_7


def test_the_published_sizes_are_the_defaults() -> None:
    assert (UniformConfig().n_samples, NormalConfig().n_samples) == (69_999 + 30_000, 139_336)
    assert UniformConfig().n_features == NormalConfig().n_features == 84


def test_rows_are_used_as_written_and_validated_on_themselves() -> None:
    arrays = load_arrays(RowsConfig(rows=PAIRS))

    np.testing.assert_array_equal(arrays.train.inputs, np.array(PAIRS, np.float32))
    assert arrays.valid is arrays.train
    assert (arrays.n_features, arrays.n_classes, len(arrays.test)) == (2, None, 0)


@pytest.mark.parametrize("rows", [[], [[]], [[1, 2], [3]]])
def test_ragged_or_empty_rows_are_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ValidationError):
        RowsConfig.model_validate({"rows": rows})

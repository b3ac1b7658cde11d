import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DataArrays, DatasetError
from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import ArrayConfig, BlobsConfig, DigitsConfig, FashionMnistConfig, MnistConfig

SWEEPS_DATA_DIR = os.environ.get("SWEEPS_DATA_DIR")
needs_mnist = pytest.mark.skipif(
    SWEEPS_DATA_DIR is None or not (Path(SWEEPS_DATA_DIR) / "mnist").is_dir(),
    reason="set SWEEPS_DATA_DIR to a folder that has the files of MNIST in mnist/",
)


def scaled(arrays: DataArrays) -> NDArray[np.float64]:
    return arrays.train.inputs.astype(np.float64) * arrays.scale


def test_digits_are_1797_images_in_the_unit_interval() -> None:
    arrays = load_arrays(DigitsConfig())
    assert len(arrays.train) + len(arrays.valid) + len(arrays.test) == 1797
    assert (arrays.image_shape, arrays.n_classes, arrays.n_features) == ((8, 8), 10, 64)
    assert arrays.value_range() == (0.0, 1.0)
    assert arrays.train.inputs.dtype == np.uint8


def test_digits_match_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    arrays = load_arrays(DigitsConfig(n_test=0, validate_on="train"))
    assert np.array_equal(arrays.train.inputs, load_digits().data)
    assert arrays.train.labels is not None
    assert np.array_equal(arrays.train.labels, load_digits().target)


# The published errors on the blobs data: zero output, mean only.
@pytest.mark.parametrize(
    ("subset", "n_images", "zero_output", "mean_only"),
    [("stripe", 29, 1.428e-4, 1.241e-4), ("full", 784, 1.488e-4, 1.423e-4)],
)
def test_blobs_have_the_published_errors_of_the_trivial_predictors(
    subset: str, n_images: int, zero_output: float, mean_only: float
) -> None:
    pixels = scaled(load_arrays(BlobsConfig.model_validate({"subset": subset})))
    assert pixels.shape == (n_images, 784)
    assert (pixels**2).mean() == pytest.approx(zero_output, rel=5e-4)
    assert ((pixels - pixels.mean(axis=0)) ** 2).mean() == pytest.approx(mean_only, rel=5e-4)


def test_blobs_peak_at_their_own_pixel() -> None:
    pixels = scaled(load_arrays(BlobsConfig(subset="full")))
    inner = 14 * 28 + 14  # away from the repeated edges
    assert pixels[inner].argmax() == inner
    assert pixels[inner].sum() == pytest.approx(2, rel=1e-5)


def test_the_stripe_lies_on_anti_diagonals() -> None:
    peaks = scaled(load_arrays(BlobsConfig())).argmax(axis=1)
    assert np.array_equal(peaks, np.arange(784)[10::27])


def test_blobs_are_validated_on_their_training_samples() -> None:
    arrays = load_arrays(BlobsConfig())
    assert arrays.valid is arrays.train
    assert len(arrays.test) == 0


def test_a_users_array_is_loaded_and_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", inputs=np.arange(60, dtype=np.float32).reshape(30, 2), labels=np.arange(30) % 4)
    arrays = load_arrays(ArrayConfig(path=tmp_path / "a.npz", scale=0.5))
    assert (len(arrays.train), len(arrays.valid), len(arrays.test)) == (20, 4, 6)
    assert (arrays.name, arrays.n_classes, arrays.value_range()) == ("a.npz", 4, (0.0, 29.5))


@pytest.mark.parametrize("config", [MnistConfig(), FashionMnistConfig()])
def test_published_data_missing_from_the_data_dir_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: MnistConfig | FashionMnistConfig
) -> None:
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetError, match=f"{config.name} is read from {tmp_path / config.name} alone, which lacks"):
        load_arrays(config)


@needs_mnist
def test_real_mnist_is_read_verified_and_split() -> None:
    arrays = load_arrays(MnistConfig())
    assert (len(arrays.train), len(arrays.valid), len(arrays.test)) == (50_000, 10_000, 10_000)
    assert (arrays.image_shape, arrays.n_classes) == ((28, 28), 10)
    assert arrays.value_range() == (0.0, 1.0)


@needs_mnist
def test_real_mnist_has_its_known_mean_and_deviation() -> None:
    arrays = load_arrays(MnistConfig(validate_on="train"))
    pixels = arrays.train.inputs.astype(np.float32) * np.float32(arrays.scale)
    assert len(pixels) == 60_000
    assert pixels.mean() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std() == pytest.approx(0.3081, abs=5e-5)


@needs_mnist
def test_more_samples_than_real_mnist_has_are_refused() -> None:
    with pytest.raises(DatasetError, match="mnist has 60000 samples to divide beside its published test set"):
        load_arrays(MnistConfig(n_train=60_000))

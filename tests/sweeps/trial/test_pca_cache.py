"""PCA of a data set, read back from where an earlier sweep has left it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from metric_references import references

from sweeps.datamodules.arrays import DataArrays, Split
from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import DigitsConfig
from sweeps.trial import pca_cache
from sweeps.trial.pca_cache import pca_of


@pytest.fixture(scope="module")
def arrays() -> DataArrays:
    return load_arrays(DigitsConfig())


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each fit."""
    counted: list[int] = []
    fit = pca_cache.fit_pca

    def count(*arguments: object) -> object:
        counted.append(1)
        return fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pca_cache, "fit_pca", count)
    return counted


def test_second_sweep_on_the_same_data_fits_nothing_and_gets_the_same_bits(
    arrays: DataArrays, tmp_path: Path, fits: list[int]
) -> None:
    first, second = pca_of(arrays, tmp_path), pca_of(load_arrays(DigitsConfig()), tmp_path)
    assert len(fits) == 1
    np.testing.assert_array_equal(first[1].pca_mse, second[1].pca_mse)
    for name in ("mean", "components", "rank"):
        np.testing.assert_array_equal(getattr(first[0], name), getattr(second[0], name))
    expected = references(arrays.train.inputs, arrays.valid.inputs, arrays.scale)
    np.testing.assert_array_equal(second[1].pca_mse, expected.pca_mse)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: replace(arrays, scale=arrays.scale / 2),
        lambda arrays: replace(arrays, train=Split(arrays.train.inputs[1:], arrays.train.labels[1:])),
        lambda arrays: replace(arrays, valid=Split(arrays.valid.inputs[::-1], arrays.valid.labels[::-1])),
    ],
    ids=["scale", "train", "valid"],
)
def test_other_samples_or_scale_are_fitted_anew(
    arrays: DataArrays, tmp_path: Path, fits: list[int], change: Callable[[DataArrays], DataArrays]
) -> None:
    pca_of(arrays, tmp_path)
    pca_of(change(arrays), tmp_path)
    assert len(fits) == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a zip"])
def test_damaged_file_is_written_again(arrays: DataArrays, tmp_path: Path, fits: list[int], content: bytes) -> None:
    pca_of(arrays, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    pca_of(arrays, tmp_path)
    pca_of(arrays, tmp_path)
    assert len(fits) == 2
    assert list(tmp_path.iterdir()) == [file]


def test_folder_that_takes_no_file_costs_time_only(arrays: DataArrays, tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    assert pca_of(arrays, nowhere / "folder")[1].mean_mse > 0

"""PCA of a dataset, read from the cache of an earlier sweep."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metric_references import references
from numpy.typing import NDArray

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
    """Count the fits."""
    counted: list[int] = []
    fit = pca_cache.fit_pca

    def count(*arguments: object) -> object:
        counted.append(1)
        return fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pca_cache, "fit_pca", count)
    return counted


def test_a_second_sweep_on_the_same_data_reads_identical_pca_from_the_cache(
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
def test_other_samples_or_scale_are_fitted_again(
    arrays: DataArrays, tmp_path: Path, fits: list[int], change: Callable[[DataArrays], DataArrays]
) -> None:
    pca_of(arrays, tmp_path)
    pca_of(change(arrays), tmp_path)
    assert len(fits) == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a zip"])
def test_a_damaged_cache_file_is_replaced(arrays: DataArrays, tmp_path: Path, fits: list[int], content: bytes) -> None:
    pca_of(arrays, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    pca_of(arrays, tmp_path)
    pca_of(arrays, tmp_path)
    assert len(fits) == 2
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(5)},
        {"components": np.zeros((5, 2))},
        {"components": np.zeros(())},
        {"rank": np.zeros(2)},
        {"pca_mse": np.zeros(64)},
        {"more": np.zeros(1)},
    ],
)
def test_a_cache_file_of_something_else_is_replaced(
    arrays: DataArrays, tmp_path: Path, fits: list[int], changes: dict[str, NDArray[Any]]
) -> None:
    expected = pca_of(arrays, tmp_path)
    (file,) = tmp_path.iterdir()
    with np.load(file) as saved:
        np.savez(file, **(dict(saved) | changes))  # type: ignore[arg-type]
    again = pca_of(arrays, tmp_path)
    assert len(fits) == 2
    np.testing.assert_array_equal(again[1].pca_mse, expected[1].pca_mse)


def test_an_unwritable_cache_folder_only_costs_time(arrays: DataArrays, tmp_path: Path) -> None:
    unwritable = tmp_path / "file"
    unwritable.write_text("")
    assert pca_of(arrays, unwritable / "folder")[1].mean_mse > 0

"""What a sweep computes from its data before any trial."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sweeps.config import SweepConfig
from sweeps.errors import DataError
from sweeps.trial.dataset import Dataset, load_dataset

MakeSweep = Callable[..., SweepConfig]


@pytest.fixture
def array_file(tmp_path: Path) -> Callable[[np.ndarray], str]:
    def write(values: np.ndarray) -> str:
        path = tmp_path / "mine.npy"
        np.save(path, values)
        return str(path)

    return write


def test_the_test_split_is_not_sent_to_workers(digits: Dataset) -> None:
    assert not [key for key in digits.arrays if key.startswith("test")]
    assert digits.description["n_test"] > 0


def test_references_fit_the_data(digits: Dataset) -> None:
    assert len(digits.pca_mse) == digits.description["n_features"] + 1
    assert (np.diff(digits.pca_mse) <= 1e-12).all()


def test_cross_entropy_of_values_above_one_is_refused(
    small_sweep: MakeSweep, array_file: Callable[[np.ndarray], str]
) -> None:
    path = array_file(np.random.default_rng(0).uniform(0, 255, (60, 9)).astype(np.float32))
    model = {"name": "shallow", "hidden_size": 4, "loss": "bce", "output_activation": "sigmoid"}
    with pytest.raises(DataError, match=r"data\.scale"):
        load_dataset(small_sweep(data={"name": "array", "path": path}, model=model))


def test_boltzmann_machines_on_values_above_one_are_refused(
    small_sweep: MakeSweep, array_file: Callable[[np.ndarray], str]
) -> None:
    path = array_file(np.random.default_rng(0).uniform(0, 2, (60, 9)).astype(np.float32))
    model = {
        "name": "stacked_denoising",
        "hidden_sizes": [4],
        "loss": "mse",
        "noise": {"level": 0},
        "fine_tuning": "reconstruction",
        "pretraining": {"method": "contrastive_divergence"},
    }
    with pytest.raises(DataError, match=r"contrastive_divergence needs inputs in \[0, 1\].* or use method denoising"):
        load_dataset(small_sweep(data={"name": "array", "path": path}, model=model))


def test_a_missing_file_is_a_data_error(small_sweep: MakeSweep, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.npy"):
        load_dataset(small_sweep(data={"name": "array", "path": str(tmp_path / "nowhere.npy")}))


def test_a_classifier_without_labels_is_refused(small_sweep: MakeSweep, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", inputs=np.random.default_rng(0).uniform(0, 1, (60, 9)).astype(np.float32))
    model = {"name": "stacked_denoising", "hidden_sizes": [4], "noise": {"level": 0.1}}
    objective = {"metric": "valid/classification_error"}
    sweep = small_sweep(data={"name": "array", "path": str(tmp_path / "mine.npz")}, model=model, objective=objective)
    with pytest.raises(DataError, match="needs labels"):
        load_dataset(sweep)

"""The arrays that a trained point and its sweep save for figures."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.build import load_network
from sweeps.models.figures.table import N_FILTERS
from sweeps.models.figures.tiles import GRID
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder, SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset, load_dataset
from sweeps.trial.events import EpochEnded, Event
from sweeps.trial.figure_references import save_references
from sweeps.trial.pack import train_points

MakeSweep = Callable[..., SweepConfig]
STACK = {"name": "stacked_denoising", "hidden_sizes": [12, 6], "noise": {"level": 0.1}, "pretraining": {"epochs": 3}}
ON_LABELS = {"metric": "valid/classification_error"}


class CutOffError(BaseException):
    """Stands for the end of a process."""


@pytest.fixture
def folder(tmp_path: Path) -> PointFolder:
    return SweepFolder(tmp_path).point("0000")


def train(sweep: SweepConfig, dataset: Dataset, folder: PointFolder, stop_at: int | None = None) -> list[EpochEnded]:
    """Train a point and return the epochs that it reports."""
    reported: list[EpochEnded] = []

    def report(epoch: int | None, _objectives: Mapping[str, Any], events: list[Event]) -> None:
        if stop_at is not None and epoch == stop_at:
            raise CutOffError
        reported.extend(event for event in events if isinstance(event, EpochEnded))

    torch.set_num_threads(1)
    arrays, sweep_folder = DataArrays.from_dict(dataset.arrays), SweepFolder(folder.path.parent.parent)
    context = TrialContext(
        sweep,
        arrays,
        dataset.references,
        sweep_folder,
        statistics=dataset.statistics,
        standardized=dataset.standardized,
    )
    train_points({folder.point_id: {}}, context, report)
    return reported


def load(path: Path) -> Mapping[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def pixels(dataset: Dataset) -> torch.Tensor:
    arrays = DataArrays.from_dict(dataset.arrays)
    return torch.from_numpy(arrays.valid.inputs) * arrays.scale


def test_detailed_figures_show_the_best_network(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    # A rate that overshoots: the last epoch is not the best one.
    train(small_sweep(training={"epochs": 12, "learning_rate": 0.3, "probe_samples": 0}), digits, folder)
    best, network = load(folder.best_arrays), load_network(folder.best_network)
    assert 0 < best["epoch"] < 12
    assert best["code_size"] == 8
    with torch.no_grad():
        reconstructions = network(torch.from_numpy(best["originals"])).reconstruction.numpy()
    np.testing.assert_allclose(best["reconstructions"], reconstructions, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(best["filters"], network.first_layer_filters().detach())


def test_best_epoch_has_a_snapshot_and_is_reported_under_its_own_epoch(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    # A rate that overshoots: the best epoch, the third, is no power of two.
    sweep = small_sweep(training={"epochs": 12, "learning_rate": 0.3, "probe_samples": 0})
    reported = train(sweep, digits, folder)
    best = load(folder.best_arrays)
    epoch = int(best["epoch"])
    assert epoch not in (1, 2, 4, 8, 12)
    snapshot = load(folder.snapshot(epoch))
    for name in ("filters", "originals", "reconstructions"):
        np.testing.assert_array_equal(snapshot[name], best[name])
    shown = [(figure.kind, figure.epoch) for event in reported for figure in event.figures]
    assert len(shown) == len(set(shown))
    assert {("filters", epoch), ("reconstructions", epoch)} <= set(shown)
    for event in reported:
        assert all((folder.sweep.path / figure.source).exists() for figure in event.figures)


def test_best_epoch_is_saved_before_a_kept_epoch_is_reported(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    with pytest.raises(CutOffError):
        train(small_sweep(), digits, folder, stop_at=2)
    assert load(folder.best_arrays)["epoch"] == 2


def test_best_arrays_are_not_saved_before_the_best_network(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = atomic_write.write

    def write_but_no_network(path: Path, content: bytes, patience_seconds: float = 0.0) -> bool:
        return path != folder.best_network and write(path, content, patience_seconds)

    monkeypatch.setattr(atomic_write, "write", write_but_no_network)
    with pytest.raises(CutOffError):
        train(small_sweep(), digits, folder, stop_at=2)
    assert folder.snapshot(2).exists()
    assert not folder.best_arrays.exists()


def test_only_the_first_hundred_filters_are_saved(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    train(small_sweep(model={"name": "shallow", "hidden_size": 130}, training={"epochs": 1}), digits, folder)
    assert N_FILTERS == GRID**2
    weights = load_network(folder.best_network).first_layer_filters().detach()
    for path in (folder.snapshot(1), folder.best_arrays):
        np.testing.assert_array_equal(load(path)["filters"], weights[:N_FILTERS])


def test_a_stack_saves_its_filters_at_the_end_of_pretraining(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    train(small_sweep(model=STACK, objective=ON_LABELS, training={"epochs": 1}), digits, folder)
    before, after = load(folder.snapshot(6)), load(folder.best_arrays)
    assert after["n_pretraining_epochs"] == 6
    assert after["epoch"] == 7
    first, second = (weights.detach() for weights in load_network(folder.best_network).encoder_weights())
    np.testing.assert_allclose(after["product"], second @ first, rtol=1e-5)
    assert before["product"].shape == after["product"].shape == (6, 64)
    # Fine-tuning has changed both, but each unit remains recognizable at its index.
    for name in ("filters", "product"):
        change = np.linalg.norm(after[name] - before[name], axis=1) / np.linalg.norm(before[name], axis=1)
        assert ((change > 0) & (change < 1)).all()


def test_network_of_one_layer_has_no_product(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    train(small_sweep(training={"epochs": 1}), digits, folder)
    assert "product" not in load(folder.best_arrays)


def test_two_unit_codes_and_pca_codes_are_of_the_same_samples(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    sweep = small_sweep(model={"name": "deep", "hidden_sizes": [16], "code_size": 2}, training={"epochs": 2})
    train(sweep, digits, folder)
    save_references(folder.sweep.references, sweep, digits)
    saved, references = load(folder.best_arrays), load(folder.sweep.references)
    samples = pixels(digits)
    with torch.no_grad():
        codes = load_network(folder.best_network).encode(samples).numpy()
    np.testing.assert_allclose(saved["codes"], codes, rtol=1e-4, atol=1e-4)
    expected = (samples.numpy() - references["mean"]) @ references["components"]
    np.testing.assert_allclose(references["codes"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(references["labels"], DataArrays.from_dict(digits.arrays).valid.labels)


def test_codes_of_at_most_five_thousand_samples_are_saved(
    small_sweep: MakeSweep, folder: PointFolder, tmp_path: Path
) -> None:
    inputs = np.random.default_rng(0).random((20_002, 3), np.float32)
    np.save(tmp_path / "mine.npy", inputs)
    data = {"name": "array", "path": str(tmp_path / "mine.npy"), "n_valid": 15_001, "n_test": 0}
    sweep = small_sweep(data=data, model={"name": "shallow", "hidden_size": 2}, training={"epochs": 1})
    dataset = load_dataset(sweep)
    train(sweep, dataset, folder)
    save_references(folder.sweep.references, sweep, dataset)
    codes, references = load(folder.best_arrays)["codes"], load(folder.sweep.references)
    assert codes.shape == references["codes"].shape == (3751, 2)  # every fourth sample
    assert "labels" not in references


@pytest.mark.parametrize("model", [{"name": "shallow", "hidden_size": 3}, {"name": "shallow", "hidden_size": 64}])
def test_codes_without_two_units_are_not_saved(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder, model: dict[str, Any]
) -> None:
    sweep = small_sweep(model=model, training={"epochs": 1})
    train(sweep, digits, folder)
    save_references(folder.sweep.references, sweep, digits)
    assert "codes" not in load(folder.best_arrays)
    assert "codes" not in load(folder.sweep.references)


@pytest.mark.parametrize(
    ("sizes", "n_components"), [({"int": [1, 9]}, 9), ({"choice": [32, 500]}, 63), ({"choice": [64, 500]}, None)]
)
def test_a_sweep_saves_as_many_components_as_its_largest_bottleneck_code(
    small_sweep: MakeSweep, digits: Dataset, tmp_path: Path, sizes: dict[str, Any], n_components: int | None
) -> None:
    sweep = small_sweep(search={"model.hidden_size": sizes}, budget={"trials": 2})
    save_references(tmp_path / "references.npz", sweep, digits)
    references = load(tmp_path / "references.npz")
    assert references["mean"].shape == (64,)
    shape = references["components"].shape if "components" in references else None
    assert shape == (None if n_components is None else (64, n_components))
    assert ("codes" in references) == ("int" in sizes)  # 2 lies between 1 and 9


def test_a_linear_model_saves_its_whole_matrix(small_sweep: MakeSweep, folder: PointFolder) -> None:
    data = {"name": "uniform", "n_samples": 400, "n_features": 110}
    sweep = small_sweep(data=data, model={"name": "linear"}, training={"epochs": 1, "probe_samples": 0})
    train(sweep, load_dataset(sweep), folder)
    best = load(folder.best_arrays)
    np.testing.assert_array_equal(best["weights"], load_network(folder.best_network).first_layer_filters().detach())
    assert best["weights"].shape == (110, 110)
    assert "image_shape" not in best


def test_a_sweep_without_detailed_figures_saves_no_arrays_for_them(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    train(small_sweep(figures={"detailed": "none"}), digits, folder)
    assert not folder.best_arrays.exists()
    assert folder.snapshot(3).exists()


def test_a_trial_imports_neither_plotting_nor_mlflow() -> None:
    # Lightning's torchmetrics imports matplotlib itself, so look for our own modules that use it.
    program = (
        "import sys, sweeps.trial.pack; "
        "print(sorted(name for name in sys.modules if name.startswith(('sweeps.models.figures.', 'mlflow'))))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # The table of figures, and the arrays that a trial saves for them.
    assert found.stdout.strip() == "['sweeps.models.figures.arrays', 'sweeps.models.figures.table']"


def test_reconstructions_of_a_table_are_in_units_of_each_features_deviation(
    folder: PointFolder, small_sweep: MakeSweep, tmp_path: Path
) -> None:
    scales = np.array([1e-6, 1.0, 1e8])
    np.save(tmp_path / "table.npy", np.random.default_rng(0).normal(3, 1, (300, 3)) * scales)
    data = {"name": "array", "path": str(tmp_path / "table.npy")}
    sweep = small_sweep(data=data, model={"name": "shallow", "hidden_size": 2, "standardize": "feature"})
    train(sweep, load_dataset(sweep), folder)
    saved = load(folder.snapshot(1))
    for name in ("originals", "reconstructions"):
        assert np.abs(saved[name]).max() < 10
        assert (np.abs(saved[name]).max(axis=0) > 0.01).all(), "no feature hides the others"

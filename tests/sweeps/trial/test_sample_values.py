"""What a trial keeps of each validation sample at its best epoch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.search.ranking import best_epoch
from sweeps.storage.layout import PointFolder, SweepFolder
from sweeps.storage.sample_values_file import place, read
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset, load_dataset
from sweeps.trial.events import EpochEnded, Event
from sweeps.trial.pack import train_points

MakeSweep = Callable[..., SweepConfig]
NOISY = {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.3}}
STACK = {"name": "stacked_denoising", "hidden_sizes": [12, 6], "noise": {"level": 0.1}, "pretraining": {"epochs": 1}}


class CutOffError(BaseException):
    """Stands for the end of a process."""


def train(
    sweep: SweepConfig, dataset: Dataset, folder: SweepFolder, points: Mapping[str, Any], cut_off_at: int | None = None
) -> dict[str, list[tuple[int, Mapping[str, float]]]]:
    """Train points, and return the metrics of each by epoch."""
    histories: dict[str, list[tuple[int, Mapping[str, float]]]] = {point: [] for point in points}

    def report(epoch: int | None, _objectives: Mapping[str, Any], events: list[Event]) -> None:
        for event in events:
            if isinstance(event, EpochEnded):
                histories[event.point_id].append((event.epoch, event.metrics))
        if cut_off_at is not None and epoch == cut_off_at:
            raise CutOffError

    torch.set_num_threads(1)
    context = TrialContext(
        sweep,
        DataArrays.from_dict(dataset.arrays),
        dataset.references,
        folder,
        statistics=dataset.statistics,
        standardized=dataset.standardized,
    )
    train_points(points, context, report)
    return histories


def assert_is_kept(sweep: SweepConfig, folder: PointFolder, history: Any, n_samples: int) -> None:
    score = best_epoch(history, sweep.objectives)
    kept = read(folder)
    assert score is not None
    assert kept is not None
    assert (kept.metric, kept.epoch) == (sweep.objectives[0].metric, score.epoch)
    assert kept.values.shape == (n_samples,)
    assert kept.values.dtype == np.float32
    assert kept.values.mean(dtype="float64") == pytest.approx(score.values[0], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("metric", "model"),
    [
        ("valid/mse", NOISY),
        ("valid/r2", NOISY),
        ("valid/denoise_mse", NOISY),
        ("valid/probe_error", NOISY),
        ("valid/mse", STACK),
        ("valid/classification_error", STACK | {"fine_tuning": "classification"}),
    ],
)
def test_the_mean_of_the_kept_values_is_the_objective_of_the_ranked_epoch(
    metric: str, model: dict[str, Any], small_sweep: MakeSweep, tmp_path: Path
) -> None:
    sweep = small_sweep(model=model, objective={"metric": metric}, training={"epochs": 4, "learning_rate": 0.02})
    dataset, folder = load_dataset(sweep), SweepFolder(tmp_path)
    points = {"0000": {}, "0001": {"training.learning_rate": 0.1}}

    histories = train(sweep, dataset, folder, points)

    n_samples = len(DataArrays.from_dict(dataset.arrays).valid.inputs)
    for point_id in points:
        assert_is_kept(sweep, folder.point(point_id), histories[point_id], n_samples)


def test_the_values_of_probe_errors_are_mistakes(small_sweep: MakeSweep, digits: Dataset, tmp_path: Path) -> None:
    sweep = small_sweep(objective={"metric": "valid/probe_error"}, training={"epochs": 2})

    train(sweep, digits, SweepFolder(tmp_path), {"0000": {}})

    kept = read(SweepFolder(tmp_path).point("0000"))
    assert kept is not None
    assert set(np.unique(kept.values)) <= {0.0, 1.0}


@pytest.mark.parametrize(
    "objective",
    [
        {"metric": "valid/mse_over_pca"},
        {"metric": "valid/code_sparsity"},
        [{"metric": "valid/mse"}, {"metric": "valid/r2"}],
    ],
)
def test_nothing_is_kept_where_the_objective_is_no_mean_over_samples(
    objective: Any, small_sweep: MakeSweep, digits: Dataset, tmp_path: Path
) -> None:
    sweep, folder = small_sweep(objective=objective), SweepFolder(tmp_path)

    train(sweep, digits, folder, {"0000": {}})

    assert not place(folder.point("0000")).exists()


def test_a_resumed_trial_keeps_those_of_its_best_epoch(small_sweep: MakeSweep, digits: Dataset, tmp_path: Path) -> None:
    sweep, folder = small_sweep(training={"epochs": 5}), SweepFolder(tmp_path)
    with pytest.raises(CutOffError):
        train(sweep, digits, folder, {"0000": {}}, cut_off_at=2)
    place(folder.point("0000")).unlink(missing_ok=True)

    histories = train(sweep, digits, folder, {"0000": {}})

    n_samples = len(DataArrays.from_dict(digits.arrays).valid.inputs)
    assert_is_kept(sweep, folder.point("0000"), histories["0000"], n_samples)

"""A point trained in this process: what it reports, what it saves, and how it resumes after a loss."""

import errno
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.build import load_network
from sweeps.search.ranking import best_epoch
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder, SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset
from sweeps.trial.events import EpochEnded, Event, PointEnded
from sweeps.trial.pack import train_points
from sweeps.trial.point_checkpoint import read_checkpoint

Reported = list[tuple[int | None, Any, list[Event]]]
MakeSweep = Callable[..., SweepConfig]


class CutOffError(BaseException):
    """Stands for the end of a process."""


def train(
    sweep: SweepConfig, dataset: Dataset, folder: PointFolder, *, point: Any = None, cut_off_at: int | None = None
) -> Reported:
    """Run a point; `cut_off_at` ends it inside the report of that epoch."""
    reported: Reported = []

    def report(epoch: int | None, objectives: Mapping[str, Any], events: list[Event]) -> None:
        reported.append((epoch, objectives[folder.point_id], events))
        if cut_off_at is not None and epoch == cut_off_at:
            raise CutOffError

    arrays = DataArrays.from_dict(dataset.arrays)
    torch.set_num_threads(1)
    context = TrialContext(sweep, arrays, dataset.references, SweepFolder(folder.path.parent.parent))
    train_points({folder.point_id: point or {}}, context, report)
    return reported


def epochs(reported: Reported) -> list[EpochEnded]:
    return [event for _, _, events in reported for event in events if isinstance(event, EpochEnded)]


@pytest.fixture
def folder(tmp_path: Path) -> PointFolder:
    return SweepFolder(tmp_path).point("0000")


def test_point_reports_its_start_each_epoch_and_its_end(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    reported = train(small_sweep(), digits, folder)
    assert [epoch for epoch, _, _ in reported] == [0, 1, 2, 3]
    assert isinstance(reported[-1][2][-1], PointEnded)
    assert not reported[-1][2][-1].failed


def test_each_epoch_has_the_documented_metrics(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    sweep = small_sweep(model={"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}, training={"epochs": 1})
    (_, last) = epochs(train(sweep, digits, folder))
    assert set(last.metrics) == {
        "train/loss",
        "valid/mse",
        "valid/r2",
        "valid/mse_over_pca",
        "valid/denoise_mse",
        "valid/probe_error",
        "valid/code_sparsity",
        "valid/dead_units",
    }


def test_files_named_by_an_epoch_exist_before_it_is_reported(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    with pytest.raises(CutOffError):
        train(small_sweep(), digits, folder, cut_off_at=2)
    with np.load(folder.snapshot(2), allow_pickle=False) as snapshot:
        assert snapshot["filters"].shape == (8, 64)
        assert snapshot["originals"].shape == snapshot["reconstructions"].shape == (10, 64)
        assert tuple(snapshot["image_shape"]) == (8, 8)
    assert folder.checkpoint.exists()


@pytest.mark.parametrize(
    "model",
    [
        {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.3}},
        {
            "name": "stacked_denoising",
            "hidden_sizes": [12, 6],
            "noise": {"level": [0.1, 0.2]},
            "pretraining": {"epochs": 2},
            "loss": "mse",
        },
        {
            "name": "stacked_denoising",
            "hidden_sizes": [12, 6],
            "tied_weights": False,
            "noise": {"level": 0},
            "pretraining": {"epochs": 2, "method": "contrastive_divergence"},  # the first layer ends with epoch 2
            "fine_tuning": "reconstruction",
        },
    ],
)
@pytest.mark.parametrize("cut_off_at", [1, 2, 4])
def test_a_resumed_point_matches_an_uninterrupted_one(
    small_sweep: MakeSweep, digits: Dataset, tmp_path: Path, model: dict[str, Any], cut_off_at: int
) -> None:
    sweep = small_sweep(model=model, training={"epochs": 5, "probe_samples": 0})
    whole, parts = SweepFolder(tmp_path / "whole").point("0000"), SweepFolder(tmp_path / "parts").point("0000")
    expected = {event.epoch: event.metrics for event in epochs(train(sweep, digits, whole))}
    with pytest.raises(CutOffError):
        train(sweep, digits, parts, cut_off_at=cut_off_at)
    rest = train(sweep, digits, parts)
    # These epochs are powers of two, which leave a checkpoint; the first report repeats all events until then.
    assert [event.epoch for event in epochs(rest[:1])] == list(range(cut_off_at + 1))
    assert [epoch for epoch, _, _ in rest] == list(range(cut_off_at, max(expected) + 1))
    assert {event.epoch: event.metrics for event in epochs(rest)} == expected
    first, second = (load_network(folder.best_network).state_dict() for folder in (whole, parts))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_stacked_point_reports_pretraining_without_valid_metrics(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    model = {
        "name": "stacked_denoising",
        "hidden_sizes": [12, 6],
        "pretraining": {"epochs": 2},
        "noise": {"level": 0.1},
    }
    objective = {"metric": "valid/classification_error"}
    events = epochs(train(small_sweep(model=model, objective=objective), digits, folder))
    assert [event.epoch for event in events] == list(range(8))
    assert all(set(event.metrics) == {"pretrain/loss"} for event in events[1:5])
    assert all("valid/classification_error" in event.metrics for event in events[5:])


def test_a_point_keeps_only_its_last_checkpoint_and_its_best_network(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    train(small_sweep(training={"epochs": 8, "probe_samples": 0}), digits, folder)
    kept = {path.name for path in folder.path.iterdir() if not path.name.endswith((".npz", ".json"))}
    assert kept == {"last.safetensors", "best.safetensors"}


@pytest.mark.parametrize("training", [{"epochs": 8}, {"epochs": 9, "patience": 8, "learning_rate": 1e-9}])
def test_the_last_epoch_of_a_point_leaves_no_checkpoint(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder, training: dict[str, Any]
) -> None:
    reported = train(small_sweep(training=training | {"probe_samples": 0}), digits, folder)
    assert max(event.epoch for event in epochs(reported)) == 8
    assert read_checkpoint(folder)["sweeps"]["epoch"] == 4


def test_a_point_lost_before_saving_its_end_resumes_with_the_same_metrics(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    sweep = small_sweep(training={"epochs": 6, "probe_samples": 0})
    whole = {event.epoch: event.metrics for event in epochs(train(sweep, digits, folder))}
    folder.end.unlink()
    rest = train(sweep, digits, folder)
    assert [epoch for epoch, _, _ in rest] == [4, 5, 6]
    assert {event.epoch: event.metrics for event in epochs(rest)} == whole


def test_best_network_is_that_of_the_best_epoch(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    # A rate that overshoots: the last epoch is not the best one.
    sweep = small_sweep(training={"epochs": 12, "learning_rate": 0.3, "probe_samples": 0})
    errors = {event.epoch: event.metrics["valid/mse"] for event in epochs(train(sweep, digits, folder))[1:]}
    assert min(errors, key=lambda epoch: errors[epoch]) < 12
    arrays = DataArrays.from_dict(digits.arrays)
    pixels = torch.from_numpy(arrays.valid.inputs) * arrays.scale
    with torch.no_grad():
        error = float((load_network(folder.best_network)(pixels).reconstruction - pixels).pow(2).mean())
    assert error == pytest.approx(min(errors.values()), rel=1e-5)


def test_a_point_lost_after_its_last_epoch_reports_its_end_again_without_training(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    with pytest.raises(CutOffError):
        train(small_sweep(), digits, folder, cut_off_at=3)
    again = train(small_sweep(), digits, folder)
    assert [epoch for epoch, _, _ in again] == [3]
    assert isinstance(again[-1][2][-1], PointEnded)


def test_replayed_events_keep_their_content_and_times(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    reported = [event for _, _, events in train(small_sweep(), digits, folder) for event in events]
    (again,) = train(small_sweep(), digits, folder)
    assert again[2] == reported


@pytest.mark.parametrize("cut_off_at", [2, 3])
def test_files_of_a_point_with_other_settings_are_ignored(
    small_sweep: MakeSweep, digits: Dataset, tmp_path: Path, cut_off_at: int
) -> None:
    alone, reused_folder = SweepFolder(tmp_path / "alone").point("0000"), SweepFolder(tmp_path / "reused").point("0000")
    expected = epochs(train(small_sweep(), digits, alone))
    with pytest.raises(CutOffError):
        train(small_sweep(model={"name": "shallow", "hidden_size": 5}), digits, reused_folder, cut_off_at=cut_off_at)
    reported = epochs(train(small_sweep(), digits, reused_folder))
    assert [event.metrics for event in reported] == [event.metrics for event in expected]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Prefixes of the names of files that the disk has no space for."""
    names: set[str] = set()
    write_bytes = Path.write_bytes

    def write(self: Path, content: bytes) -> int:
        if self.name.startswith(tuple(names)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(self, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    monkeypatch.setattr(atomic_write, "PATIENCE_SECONDS", 0.0)
    return names


def test_a_best_network_waiting_for_disk_space_is_written_after_a_resume(
    small_sweep: MakeSweep, digits: Dataset, tmp_path: Path, full_disk: set[str]
) -> None:
    objective = {"metric": "valid/code_sparsity", "direction": "maximize"}
    sweep = small_sweep(training={"epochs": 6, "learning_rate": 0.05, "probe_samples": 0}, objective=objective)
    whole, parts = SweepFolder(tmp_path / "whole").point("0000"), SweepFolder(tmp_path / "parts").point("0000")
    sparsity = [event.metrics["valid/code_sparsity"] for event in epochs(train(sweep, digits, whole))[1:]]
    assert max(sparsity) == max(sparsity[:4])
    full_disk.add("best.safetensors")
    with pytest.raises(CutOffError):
        train(sweep, digits, parts, cut_off_at=4)
    assert not parts.best_network.exists()
    full_disk.clear()
    train(sweep, digits, parts)
    assert parts.best_network.read_bytes() == whole.best_network.read_bytes()


def test_a_rung_is_not_reported_before_the_best_network_is_kept(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder, full_disk: set[str]
) -> None:
    full_disk.add("best.safetensors")
    stopping = {"name": "asha", "grace_epochs": 2, "reduction_factor": 3}
    reported = train(small_sweep(training={"epochs": 5}, stopping=stopping), digits, folder)
    assert [epoch for epoch, _, _ in reported] == [0, 1, None]
    (ended,) = reported[-1][2]
    assert isinstance(ended, PointEnded)
    assert "must have space for the best network" in (ended.reason or "")


def test_epochs_without_validation_repeat_no_old_value(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    sweep = small_sweep(training={"epochs": 5, "validate_every": 2, "probe_samples": 0})
    measured = [event.epoch for event in epochs(train(sweep, digits, folder)) if "valid/mse" in event.metrics]
    assert measured == [2, 4, 5]


def test_objective_at_best_never_gets_worse(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    sweep = small_sweep(training={"epochs": 12, "learning_rate": 0.3, "probe_samples": 0})
    reported = [objective for _, objective, _ in train(sweep, digits, folder)][1:]
    assert reported == sorted(reported, reverse=True)


def test_objective_at_last_is_the_current_value(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    sweep = small_sweep(objective={"metric": "valid/mse", "at": "last"})
    reported = train(sweep, digits, folder)
    assert [objective for _, objective, _ in reported[1:]] == [e.metrics["valid/mse"] for e in epochs(reported)[1:]]
    assert math.isnan(reported[0][1])


def test_diverging_point_is_reported_as_failed_with_metric_and_epoch(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    sweep = small_sweep(training={"epochs": 5, "learning_rate": 1e30, "optimizer": "sgd", "probe_samples": 0})
    *_, (_, objective, (ended,)) = train(sweep, digits, folder)
    assert isinstance(ended, PointEnded)
    assert ended.failed
    assert "train/loss is" in (ended.reason or "")
    assert "at epoch 1" in (ended.reason or "")
    assert math.isnan(objective)


@pytest.mark.parametrize("at", ["best", "last"])
def test_the_reported_objective_is_the_value_that_ranks_the_point(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder, at: str
) -> None:
    objectives = [{"metric": "valid/mse", "at": at}, {"metric": "valid/code_sparsity", "at": at}]
    training = {"epochs": 12, "learning_rate": 0.3, "probe_samples": 0}
    reported = train(small_sweep(objective=objectives, training=training), digits, folder)
    history = [(event.epoch, event.metrics) for event in epochs(reported)]
    score = best_epoch(history, small_sweep(objective=objectives).objectives)
    assert score is not None
    assert reported[-1][1] == list(score.values)


def test_two_points_in_one_process_do_not_affect_each_other(
    small_sweep: MakeSweep, digits: Dataset, tmp_path: Path
) -> None:
    sweep = small_sweep(search={"model.hidden_size": {"choice": [8, 12]}}, budget={"trials": 2})
    folders = [SweepFolder(tmp_path / name).point("0000") for name in ("alone", "other", "after")]
    alone = epochs(train(sweep, digits, folders[0], point={"model.hidden_size": 8}))
    train(sweep, digits, folders[1], point={"model.hidden_size": 12})
    after = epochs(train(sweep, digits, folders[2], point={"model.hidden_size": 8}))
    assert [event.metrics for event in after] == [event.metrics for event in alone]


# Steps so large that the error soon rises again.
IMPATIENT = {"epochs": 40, "patience": 2, "learning_rate": 0.3}


def test_a_point_out_of_patience_ends_like_a_completed_one(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    reported = train(small_sweep(training=IMPATIENT), digits, folder)
    last, ended = reported[-1][2]
    assert isinstance(last, EpochEnded)
    assert isinstance(ended, PointEnded)
    assert 2 <= last.epoch < 40
    assert (ended.failed, ended.tags["sweeps.stopped_early"]) == (False, "patience")
    with np.load(folder.best_arrays) as file:
        best = int(file["epoch"])
    assert [figure.name for figure in last.figures] == [
        f"{kind}/epoch-{epoch:05d}.png" for epoch in (last.epoch, best) for kind in ("filters", "reconstructions")
    ]
    assert ended.findings is not None
    assert ended.findings == last.findings
    assert "valid/probe_error" in last.metrics


def test_a_point_out_of_patience_leaves_its_best_network(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    errors = [
        event.metrics["valid/mse"] for event in epochs(train(small_sweep(training=IMPATIENT), digits, folder))[1:]
    ]
    assert min(errors) < errors[-1]
    arrays = DataArrays.from_dict(digits.arrays)
    pixels = torch.from_numpy(arrays.valid.inputs) * arrays.scale
    with torch.no_grad():
        error = float((load_network(folder.best_network)(pixels).reconstruction - pixels).pow(2).mean())
    assert error == pytest.approx(min(errors), rel=1e-5)


def test_a_resumed_point_that_was_out_of_patience_does_not_train(
    small_sweep: MakeSweep, digits: Dataset, tmp_path: Path
) -> None:
    sweep = small_sweep(training=IMPATIENT)
    whole, parts = SweepFolder(tmp_path / "whole").point("0000"), SweepFolder(tmp_path / "parts").point("0000")
    expected = train(sweep, digits, whole)
    for cut_off_at in (1, expected[-1][0]):  # the second time it resumes from the first epoch
        with pytest.raises(CutOffError):
            train(sweep, digits, parts, cut_off_at=cut_off_at)
    again = train(sweep, digits, parts)
    assert [epoch for epoch, _, _ in again] == [expected[-1][0]]
    assert isinstance(again[-1][2][-1], PointEnded)
    assert again[-1][2][-1].tags["sweeps.stopped_early"] == "patience"


def test_patience_counts_only_fine_tuning(small_sweep: MakeSweep, digits: Dataset, folder: PointFolder) -> None:
    model = {"name": "stacked_denoising", "hidden_sizes": [12, 6], "pretraining": {"epochs": 3}}
    training = {"epochs": 30, "patience": 2, "optimizer": "sgd", "learning_rate": 1e-9, "probe_samples": 0}
    sweep = small_sweep(model=model, training=training, objective={"metric": "valid/mse"})
    assert train(sweep, digits, folder)[-1][0] == 3 + 3 + 2


def test_patience_ends_a_point_at_a_validated_epoch(
    small_sweep: MakeSweep, digits: Dataset, folder: PointFolder
) -> None:
    training = {"epochs": 30, "patience": 2, "validate_every": 3, "optimizer": "sgd", "learning_rate": 1e-9}
    sweep = small_sweep(training=training, objective={"metric": "train/loss"})
    *_, last = epochs(train(sweep, digits, folder))
    assert last.epoch == 6  # the first validated epoch counts as an improvement
    assert "valid/mse" in last.metrics

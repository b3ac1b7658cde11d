"""The findings of a trial: they come with the last report that is sure to arrive."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweeps.config import SweepConfig, load
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.diagnosis.findings import FindingName
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset, load_dataset
from sweeps.trial.events import EpochEnded, Event, PointEnded, ReportedFinding, from_plain, to_plain
from sweeps.trial.pack import train_points

SEVERE = {
    FindingName.LEARNING_RATE,
    FindingName.HARDLY_VARIES,
    FindingName.HARDLY_TRAINED,
    FindingName.COLLAPSED,
    FindingName.COLUMN_MEAN,
}
CRUSHED = {
    "name": "crushed",
    "data": {"name": "blobs", "subset": "full"},
    "model": {"name": "shallow", "hidden_size": 25, "weight_l1": 0.5, "hidden_l1": 0.5},
    "training": {"epochs": 5, "batch_size": 64, "learning_rate": 0.01},
    "objective": {"metric": "valid/mse", "at": "last"},
}
DIGITS = {
    "name": "small",
    "data": {"name": "digits"},
    "model": {"name": "shallow", "hidden_size": 16, "activation": "tanh"},
    "training": {"epochs": 12, "probe_samples": 0},
    "objective": {"metric": "valid/mse"},
}
Train = Callable[..., list[Event]]


class StoppedByTune(BaseException):
    """Raised inside a report, where Tune ends a trial."""


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Train a point of a sweep in this process; return its events as the driver gets them."""
    torch.set_num_threads(1)

    def run(config: SweepConfig, point: dict[str, Any] | None = None, *, stop_at: int | None = None) -> list[Event]:
        dataset = load_dataset(config)
        events: list[Event] = []

        def report(epoch: int | None, _objectives: Any, reported: list[Event]) -> None:
            events.extend(from_plain(to_plain(reported)))
            if epoch is not None and epoch == stop_at:
                raise StoppedByTune

        arrays = DataArrays.from_dict(dict(dataset.arrays))
        try:
            folder = SweepFolder(tmp_path)
            context = TrialContext(config, arrays, dataset.references, folder, dataset.column_mean)
            train_points({"0000": point or {}}, context, report)
        except StoppedByTune:
            assert stop_at is not None
        return events

    return run


def end_of(events: list[Event]) -> PointEnded:
    (end,) = [event for event in events if isinstance(event, PointEnded)]
    return end


def finding_names(findings: tuple[ReportedFinding, ...] | None) -> set[str]:
    assert findings is not None
    return {finding.name for finding in findings}


def test_blobs_with_penalties_of_one_half_are_diagnosed_as_collapsed(train: Train) -> None:
    end = end_of(train(SweepConfig.from_dict(CRUSHED)))
    assert end.findings is not None
    collapsed = end.findings[0]
    assert collapsed.name == "collapsed to the mean"
    assert collapsed.evidence["r2"] < 0.1
    assert collapsed.evidence["penalty share"] > 0.5
    assert "model.weight_l1 and model.hidden_l1" in collapsed.advice
    assert FindingName.OVERFITTING not in finding_names(end.findings)


def test_few_units_on_blobs_are_diagnosed_as_following_the_mean_and_many_sparse_ones_are_not(
    train: Train, tmp_path: Path
) -> None:
    few = end_of(train(load("blobs-stripe-9", []), {"training.seed": 1}))
    assert FindingName.FOLLOWS_MEAN in finding_names(few.findings)
    sparse = {"model.hidden_size": 64, "model.weight_l1": 1e-3, "model.hidden_l1": 1e-3, "training.epochs": 20}
    shutil.rmtree(SweepFolder(tmp_path).point("0000").path)
    many = end_of(train(load("blobs-sparse", []), sparse))
    assert not finding_names(many.findings) & {FindingName.FOLLOWS_MEAN, FindingName.COLLAPSED}


def test_a_good_trial_of_the_quickstart_has_no_severe_findings(train: Train) -> None:
    point = {"model.hidden_size": 64, "model.weight_l1": 1e-5, "model.hidden_l1": 1e-5, "model.noise.level": 0.1}
    assert not finding_names(end_of(train(load("quickstart", []), point)).findings) & {*SEVERE, FindingName.PENALTY}


def test_low_variance_features_are_distinguished_from_column_mean_outputs(train: Train, tmp_path: Path) -> None:
    raw = np.random.default_rng(0).normal(1.1090579, 0.0012380764, (600, 84)).astype(np.float32)
    np.save(tmp_path / "raw.npy", raw)
    identity = {
        "name": "raw",
        "data": {"name": "array", "path": str(tmp_path / "raw.npy")},
        "model": {"name": "shallow", "hidden_size": 84, "activation": "linear"},
        "training": {"epochs": 20, "optimizer": "sgd", "learning_rate": 0.1},
        "objective": {"metric": "valid/mse"},
    }
    findings = end_of(train(SweepConfig.from_dict(identity))).findings
    assert FindingName.HARDLY_VARIES in finding_names(findings)
    assert FindingName.COLUMN_MEAN not in finding_names(findings)


# Rungs are 3, 9 and 27. Powers of two are diagnosed only once the training has seen far more samples than a diagnosis.
@pytest.mark.parametrize(
    ("stop_at", "examined"), [(1, False), (3, True), (5, False), (8, False), (9, True), (64, True), (65, False)]
)
def test_a_trial_reports_its_findings_before_it_can_be_stopped(train: Train, stop_at: int, examined: bool) -> None:
    stopping = {"name": "asha", "grace_epochs": 3, "reduction_factor": 3}
    training = {"epochs": 70, "probe_samples": 0}
    events = train(SweepConfig.from_dict(DIGITS | {"stopping": stopping, "training": training}), stop_at=stop_at)
    last = events[-1]
    assert isinstance(last, EpochEnded)
    assert (last.epoch, last.findings is not None) == (stop_at, examined)


def test_a_diverging_trial_ends_as_failed_with_its_reason_and_finding(train: Train) -> None:
    training = {"epochs": 5, "optimizer": "sgd", "learning_rate": 1e30, "probe_samples": 0}
    end = end_of(train(SweepConfig.from_dict(DIGITS | {"training": training})))
    assert end.failed
    assert "train/loss is" in (end.reason or "")
    assert end.tags["sweeps.stopped_by"] == "diverged"
    assert finding_names(end.findings) == {FindingName.LEARNING_RATE}


def test_advice_for_a_stack_that_diverges_in_pretraining_is_to_lower_the_pretraining_rate(train: Train) -> None:
    model = {
        "name": "stacked_denoising",
        "hidden_sizes": [16, 8],
        "noise": {"level": 0.1},
        "activation": "relu",
        "output_activation": "linear",
        "loss": "mse",
        "pretraining": {"epochs": 2, "optimizer": "sgd", "learning_rate": 1e30},
    }
    end = end_of(train(SweepConfig.from_dict(DIGITS | {"model": model})))
    assert end.findings is not None
    assert "model.pretraining.learning_rate" in end.findings[0].advice


def test_a_trial_reports_the_shapes_of_its_trained_weights(train: Train) -> None:
    model = {"name": "stacked_denoising", "hidden_sizes": [16, 8], "pretraining": {"epochs": 1}}
    end = end_of(train(SweepConfig.from_dict(DIGITS | {"model": model, "training": {"epochs": 1}})))
    assert end.tags["sweeps.weights"] == "64×16, 16×8"


def test_pretraining_losses_of_a_stack_do_not_count_as_setbacks(train: Train) -> None:
    model = {
        "name": "stacked_denoising",
        "hidden_sizes": [32, 16],
        "noise": {"level": 0.1},
        "pretraining": {"epochs": 3, "learning_rate": 0.01, "batch_size": 50},
    }
    training = {"epochs": 4, "learning_rate": 0.01, "probe_samples": 0, "batch_size": 50}
    events = train(SweepConfig.from_dict(DIGITS | {"model": model, "training": training}))
    epochs = [event.metrics for event in events if isinstance(event, EpochEnded) and event.metrics]
    losses = [metrics["pretrain/loss"] for metrics in epochs[:6]]
    assert losses[3] > losses[2] + 0.1 * losses[0]  # the second layer's own loss, which resembles a setback
    assert not finding_names(end_of(events).findings) & SEVERE


def test_a_resumed_trial_has_the_findings_of_an_uninterrupted_one(train: Train, tmp_path: Path) -> None:
    config = SweepConfig.from_dict(DIGITS)
    train(config, stop_at=8)
    resumed = train(config)
    # Events until the checkpoint are reported again: the driver may have been lost before recording them.
    assert [event.epoch for event in resumed if isinstance(event, EpochEnded)] == list(range(13))
    shutil.rmtree(SweepFolder(tmp_path).point("0000").path)
    whole = train(config)
    assert len(whole) == 1 + 12 + 1
    assert end_of(resumed).findings == end_of(whole).findings


def test_the_column_mean_is_that_of_the_scaled_training_inputs() -> None:
    dataset: Dataset = load_dataset(SweepConfig.from_dict(DIGITS))
    train = dataset.arrays["train_inputs"].astype(np.float64) * dataset.arrays["scale"]
    np.testing.assert_allclose(dataset.column_mean, train.mean(axis=0), rtol=1e-12)
    assert dataset.column_mean.shape == (64,)

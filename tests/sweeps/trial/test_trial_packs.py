"""Points trained together in this process: each is reported, saved and resumed as it would be alone."""

import errno
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.build import load_network
from sweeps.models.training.validation import Validation
from sweeps.storage.layout import SweepFolder
from sweeps.trial import reports
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset
from sweeps.trial.events import WEIGHTS_TAG, EpochEnded, Event, PointEnded
from sweeps.trial.pack import train_points
from sweeps.trial.recorder import Recorder

MakeSweep = Callable[..., SweepConfig]
POINTS = {
    "0000": {"model.hidden_size": 8, "training.learning_rate": 1e-3},
    "0001": {"model.hidden_size": 12, "training.learning_rate": 1e-2},
    "0002": {"model.hidden_size": 6, "model.noise.level": 0.5},
}


class CutOffError(BaseException):
    """Stands for the end of a process."""


class Reports:
    """Collect what the points of a pack report; at epoch `cut_off_at`, if given, their process ends."""

    def __init__(self, cut_off_at: int | None = None) -> None:
        self.events: list[Event] = []
        self.n_reports = 0
        self.epochs: list[int | None] = []
        self.objectives: dict[str, Any] = {}
        self.cut_off_at = cut_off_at

    def __call__(self, epoch: int | None, objectives: Mapping[str, Any], events: list[Event]) -> None:
        self.n_reports += 1
        self.epochs.append(epoch)
        self.objectives |= objectives
        self.events += events
        if self.cut_off_at is not None and epoch == self.cut_off_at:
            raise CutOffError

    def metrics(self, point_id: str) -> dict[int, dict[str, float]]:
        ended = [event for event in self.events if isinstance(event, EpochEnded) and event.point_id == point_id]
        return {event.epoch: event.metrics for event in ended}

    def ends(self) -> dict[str, PointEnded]:
        return {event.point_id: event for event in self.events if isinstance(event, PointEnded)}


@pytest.fixture
def train(small_sweep: MakeSweep, digits: Dataset) -> Callable[..., Reports]:
    """Run points of a small sweep on digits."""

    def run(
        folder: Path,
        points: Mapping[str, Any] = POINTS,
        *,
        cut_off_at: int | None = None,
        reported: Reports | None = None,
        **sections: Any,
    ) -> Reports:
        torch.set_num_threads(1)
        reported = reported or Reports(cut_off_at)
        arrays = DataArrays.from_dict(digits.arrays)
        context = TrialContext(small_sweep(**sections), arrays, digits.references, SweepFolder(folder))
        train_points(points, context, reported)
        return reported

    return run


def close(metrics: Mapping[int, Mapping[str, float]]) -> Any:
    """Compare up to rounding: a stacked network sums in another order."""
    return {epoch: pytest.approx(dict(values), rel=1e-3) for epoch, values in metrics.items()}


def test_points_of_a_pack_have_the_metrics_of_training_alone(train: Callable[..., Reports], tmp_path: Path) -> None:
    together = train(tmp_path / "together")
    for point_id, point in POINTS.items():
        alone = train(tmp_path / "alone", {point_id: point})
        assert together.metrics(point_id) == alone.metrics(point_id)
        assert together.objectives[point_id] == alone.objectives[point_id]


def test_points_of_one_stacked_network_have_the_metrics_of_training_alone(
    train: Callable[..., Reports], tmp_path: Path
) -> None:
    together = train(tmp_path / "together", execution="packed")
    for point_id, point in POINTS.items():
        alone = train(tmp_path / "alone", {point_id: point})
        assert together.metrics(point_id) == close(alone.metrics(point_id))
        assert together.metrics(point_id) != alone.metrics(point_id), "it must have been stacked: sums round otherwise"


@pytest.mark.parametrize(("network", "shapes"), [("VectorWeights", "64×3, 3, 1"), ("ParameterWeights", "64×3, 3×64")])
def test_plugin_network_with_weights_of_any_shape_is_trained(
    network: str, shapes: str, train: Callable[..., Reports], tmp_path: Path
) -> None:
    model = {"name": f"plugin_networks:{network}", "weight_l2": 0.01}
    (ended,) = train(tmp_path, {"0000": {}}, model=model).ends().values()
    assert (ended.failed, ended.tags[WEIGHTS_TAG]) == (False, shapes)


def test_a_pack_reports_once_per_epoch(train: Callable[..., Reports], tmp_path: Path) -> None:
    together = train(tmp_path)
    assert together.n_reports == 4  # the start and three epochs
    assert set(together.ends()) == set(POINTS)


@pytest.mark.parametrize(
    ("sections", "n_reports"),
    [
        ({}, 2),  # the start and the end
        ({"stopping": {"name": "asha", "grace_epochs": 2}, "execution": "packed"}, 3),  # and a rung in between
    ],
    ids=["no decision", "rung"],
)
def test_epochs_without_a_decision_are_reported_later(
    train: Callable[..., Reports],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sections: dict[str, Any],
    n_reports: int,
) -> None:
    monkeypatch.setattr(reports, "SECONDS_BETWEEN_REPORTS", math.inf)
    together = train(tmp_path, **sections)
    assert together.n_reports == n_reports
    assert max(len(together.metrics(point_id)) for point_id in POINTS) == 4
    assert set(together.ends()) == set(POINTS)


def test_the_saved_best_network_is_of_a_reported_epoch(
    train: Callable[..., Reports], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    # Epoch 2 is reported, epoch 5 is cut off: the network of epoch 4 is better, but was never reported.
    monkeypatch.setattr(reports.Reports, "are_due", property(lambda gathered: gathered._epoch == 1))
    start_epoch = Recorder.start_epoch

    def cut_off(recorder: Recorder, epoch: int) -> None:
        if epoch == 5:
            raise CutOffError
        start_epoch(recorder, epoch)

    monkeypatch.setattr(Recorder, "start_epoch", cut_off)
    recorded = Reports()
    with pytest.raises(CutOffError):
        train(tmp_path, reported=recorded, training={"epochs": 9, "probe_samples": 0})
    arrays = DataArrays.from_dict(digits.arrays)
    inputs = torch.from_numpy(arrays.valid.inputs) * arrays.scale
    for point_id in POINTS:
        assert list(recorded.metrics(point_id)) == [0, 1, 2]
        network = load_network(SweepFolder(tmp_path).point(point_id).best_network)
        with torch.no_grad():
            error = float((network(inputs).reconstruction - inputs).square().mean())
        assert error == pytest.approx(recorded.metrics(point_id)[2]["valid/mse"], rel=1e-5)


def test_the_first_value_after_a_rung_without_one_is_reported_at_once(
    train: Callable[..., Reports], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "SECONDS_BETWEEN_REPORTS", math.inf)
    training = {"epochs": 20, "validate_every": 5, "probe_samples": 0}
    stopping = {"name": "asha", "grace_epochs": 3, "reduction_factor": 4}
    recorded = train(tmp_path, {"0000": POINTS["0000"]}, training=training, stopping=stopping)
    assert recorded.epochs == [0, 3, 5, 12, 20]


def test_each_point_of_a_pack_saves_its_own_files(train: Callable[..., Reports], tmp_path: Path) -> None:
    train(tmp_path)
    for point_id, point in POINTS.items():
        folder = SweepFolder(tmp_path).point(point_id)
        assert folder.snapshot(3).exists()
        assert load_network(folder.best_network).code_size == point["model.hidden_size"]
        # Its own tensors, not those of the whole stack.
        assert folder.best_network.stat().st_size < 20_000


@pytest.mark.parametrize("execution", ["auto", "packed"])
def test_a_resumed_pack_continues_each_of_its_points(
    train: Callable[..., Reports], tmp_path: Path, execution: str
) -> None:
    whole = train(tmp_path / "whole", training={"epochs": 5, "probe_samples": 0}, execution=execution)
    with pytest.raises(CutOffError):
        train(tmp_path / "parts", cut_off_at=2, training={"epochs": 5, "probe_samples": 0}, execution=execution)
    rest = train(tmp_path / "parts", training={"epochs": 5, "probe_samples": 0}, execution=execution)
    for point_id in POINTS:
        assert whole.metrics(point_id) == close(rest.metrics(point_id))
    assert rest.n_reports == 4  # one for epochs 0 to 2, and three more epochs


def test_a_point_of_a_pack_can_resume_alone(train: Callable[..., Reports], tmp_path: Path) -> None:
    with pytest.raises(CutOffError):
        train(tmp_path / "parts", cut_off_at=1)
    rest = train(tmp_path / "parts", {"0001": POINTS["0001"]}, execution="single")
    alone = train(tmp_path / "alone", {"0001": POINTS["0001"]})
    assert rest.n_reports == 3  # one for epochs 0 and 1, and two more epochs
    assert list(rest.metrics("0001")) == [0, 1, 2, 3]
    assert rest.metrics("0001")[3] == pytest.approx(alone.metrics("0001")[3], rel=1e-3)


def test_points_at_different_epochs_each_resume_from_their_own(train: Callable[..., Reports], tmp_path: Path) -> None:
    with pytest.raises(CutOffError):
        train(tmp_path / "parts", {"0000": POINTS["0000"]}, cut_off_at=1)
    together, alone = train(tmp_path / "parts"), train(tmp_path / "alone")
    assert [list(together.metrics(point_id)) for point_id in POINTS] == [[0, 1, 2, 3]] * 3
    assert together.n_reports == 1 + 2 + 4  # the first point's replay, the rest of it, and the two others
    for point_id in POINTS:
        assert together.metrics(point_id)[3] == pytest.approx(alone.metrics(point_id)[3], rel=1e-3)


def test_a_diverging_point_does_not_fail_the_others(train: Callable[..., Reports], tmp_path: Path) -> None:
    points = POINTS | {"0001": {"model.hidden_size": 12, "training.learning_rate": 1e30}}
    ends = train(tmp_path, points, training={"epochs": 3, "optimizer": "sgd", "probe_samples": 0}).ends()
    assert [ends[point_id].failed for point_id in points] == [False, True, False]
    assert "must stay finite" in (ends["0001"].reason or "")
    assert [finding.name for finding in ends["0001"].findings or ()] == ["learning rate too high"]


def test_a_raising_point_does_not_fail_the_others(
    train: Callable[..., Reports], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Validation.metrics

    def broken(self: Validation) -> dict[str, float]:
        if self.network.code_size == 12:
            raise RuntimeError("broken")
        return metrics(self)

    monkeypatch.setattr(Validation, "metrics", broken)
    ends = train(tmp_path).ends()
    assert {point_id: end.reason for point_id, end in ends.items()} == {
        "0000": None,
        "0001": "RuntimeError: broken",
        "0002": None,
    }


def test_an_error_after_the_last_epoch_fails_only_points_that_have_not_reported_it(
    train: Callable[..., Reports], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_epoch = Recorder.report_epoch

    def broken(self: Recorder) -> None:
        if self.progress.is_over:
            raise OSError(errno.EIO, "no longer there")
        report_epoch(self)

    monkeypatch.setattr(Recorder, "report_epoch", broken)
    ends = train(tmp_path).ends()
    assert {point_id: end.failed for point_id, end in ends.items()} == dict.fromkeys(POINTS, True)


def test_a_full_disk_for_checkpoints_fails_no_point(
    train: Callable[..., Reports], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.name.startswith("last.safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    ends = train(tmp_path).ends()
    assert {point_id: end.failed for point_id, end in ends.items()} == dict.fromkeys(POINTS, False)
    assert not list(tmp_path.rglob("last.*"))


def test_points_with_different_batch_sizes_train_in_one_call(train: Callable[..., Reports], tmp_path: Path) -> None:
    points = POINTS | {
        "0003": {"training.batch_size": 32},
        "0004": {"training.epochs": 1},
        "0005": {"training.seed": 7},
    }
    together = train(tmp_path / "together", points)
    for point_id in ("0003", "0004", "0005"):
        alone = train(tmp_path / "alone", {point_id: points[point_id]})
        assert together.metrics(point_id) == alone.metrics(point_id)


def test_packed_points_share_batches_and_noise_whatever_their_seeds(
    train: Callable[..., Reports], tmp_path: Path
) -> None:
    points = {f"000{seed}": {"training.seed": seed} for seed in range(2)}
    packed = train(tmp_path / "packed", points, execution="packed")
    auto = train(tmp_path / "auto", points)
    assert packed.n_reports == 4
    assert auto.n_reports == 8
    assert packed.metrics("0000") == close(auto.metrics("0000"))  # the seed of the sweep
    assert packed.metrics("0001")[3]["valid/mse"] != pytest.approx(packed.metrics("0000")[3]["valid/mse"])


def test_each_point_has_its_own_patience(train: Callable[..., Reports], tmp_path: Path) -> None:
    training = {"epochs": 12, "patience": 2, "probe_samples": 0}
    points = {"0000": {"training.learning_rate": 1e-9}, "0001": {"training.learning_rate": 1e-2}}
    together = train(tmp_path / "together", points, training=training)
    for point_id, point in points.items():
        alone = train(tmp_path / "alone", {point_id: point}, training=training)
        assert together.metrics(point_id) == close(alone.metrics(point_id))
    assert max(together.metrics("0000")) < max(together.metrics("0001"))


@pytest.mark.parametrize("first", [{"training.epochs": 1}, {"training.learning_rate": 1e30, "training.epochs": 1}])
def test_a_point_that_ended_before_its_pack_was_lost_is_not_retrained(
    train: Callable[..., Reports], tmp_path: Path, first: dict[str, Any]
) -> None:
    training = {"epochs": 3, "optimizer": "sgd", "probe_samples": 0}
    points = {"0000": first, "0001": {}}
    with pytest.raises(CutOffError):
        train(tmp_path, points, cut_off_at=2, training=training)
    SweepFolder(tmp_path).point("0000").checkpoint.unlink(
        missing_ok=True
    )  # as the driver does when the end is reported
    again = train(tmp_path, points, training=training)
    assert max(again.metrics("0000")) <= 1
    assert again.ends()["0000"].failed == ("training.learning_rate" in first)
    assert list(again.metrics("0001")) == [0, 1, 2, 3]
    assert again.n_reports == 2  # the replay of both, and the last epoch of the second


STACK = {
    "name": "stacked_denoising",
    "hidden_sizes": [12, 6],
    "noise": {"level": 0.2},
    "pretraining": {"epochs": 2},
    "loss": "mse",
}
STACKS = {
    "0000": {"model.noise.level": [0.1, 0.4]},
    "0001": {"model.hidden_sizes": [10, 5], "model.pretraining.learning_rate": 1e-2},
    "0002": {"model.tied_weights": False, "model.noise.kind": "gaussian"},
}


@pytest.mark.parametrize("fine_tuning", ["reconstruction", "classification"])
@pytest.mark.parametrize("execution", ["auto", "packed"])
def test_stacks_pretrained_together_match_training_alone(
    train: Callable[..., Reports], tmp_path: Path, execution: str, fine_tuning: str
) -> None:
    sections: dict[str, Any] = {"model": STACK | {"fine_tuning": fine_tuning}, "training": {"epochs": 2}}
    together = train(tmp_path / "together", STACKS, execution=execution, **sections)
    assert together.n_reports == 7  # the start, two epochs for each of two layers, two for the whole
    for point_id, point in STACKS.items():
        alone = train(tmp_path / "alone", {point_id: point}, **sections)
        expected = alone.metrics(point_id) if execution == "auto" else close(alone.metrics(point_id))
        assert together.metrics(point_id) == expected


@pytest.mark.parametrize("cut_off_at", [1, 2, 4])
def test_a_resumed_pack_of_stacks_continues_each_of_them(
    train: Callable[..., Reports], tmp_path: Path, cut_off_at: int
) -> None:
    sections: dict[str, Any] = {"model": STACK, "training": {"epochs": 1, "probe_samples": 0}}
    whole = train(tmp_path / "whole", STACKS, **sections)
    with pytest.raises(CutOffError):
        train(tmp_path / "parts", STACKS, cut_off_at=cut_off_at, **sections)
    rest = train(tmp_path / "parts", STACKS, **sections)
    for point_id in STACKS:
        assert rest.metrics(point_id) == whole.metrics(point_id)
    assert rest.n_reports == whole.n_reports - cut_off_at


HALVED: dict[str, Any] = {
    "training": {"epochs": 5, "probe_samples": 0},
    "stopping": {"name": "asha", "grace_epochs": 1, "reduction_factor": 2},
    "execution": "packed",
}
RATES = {f"000{index}": {"training.learning_rate": rate} for index, rate in enumerate((1e-9, 1e-2, 1e-8, 1e-3))}


def test_a_pack_is_halved_at_each_rung_and_the_best_trains_to_the_end(
    train: Callable[..., Reports], tmp_path: Path
) -> None:
    halved = train(tmp_path, RATES, **HALVED)
    assert {name: max(halved.metrics(name)) for name in RATES} == {"0000": 1, "0001": 5, "0002": 1, "0003": 2}
    rules = {name: end.tags.get("sweeps.stopped_early") for name, end in halved.ends().items()}
    assert rules == {"0000": "asha", "0001": None, "0002": "asha", "0003": "asha"}
    assert not any(end.failed for end in halved.ends().values())
    assert all(SweepFolder(tmp_path).point(name).best_network.exists() for name in RATES)


def test_the_survivors_of_a_rung_train_as_in_the_full_pack(train: Callable[..., Reports], tmp_path: Path) -> None:
    halved = train(tmp_path / "halved", RATES, **HALVED)
    alone = train(tmp_path / "alone", {"0001": RATES["0001"]}, training=HALVED["training"])
    assert halved.metrics("0001") == close(alone.metrics("0001"))


@pytest.mark.parametrize("cut_off_at", [1, 2])
def test_a_pack_lost_at_a_rung_resumes_only_the_survivors(
    train: Callable[..., Reports], tmp_path: Path, cut_off_at: int
) -> None:
    with pytest.raises(CutOffError):
        train(tmp_path, RATES, cut_off_at=cut_off_at, **HALVED)
    rest = train(tmp_path, RATES, **HALVED)
    assert set(rest.ends()) == set(RATES)
    assert {name: max(rest.metrics(name)) for name in RATES} == {"0000": 1, "0001": 5, "0002": 1, "0003": 2}

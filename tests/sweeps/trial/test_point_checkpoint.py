"""Checkpoints of points: what resumes, also from files of version 0.1, and what is refused."""

import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from malicious import Malicious

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models import tensor_file
from sweeps.models.build import load_network
from sweeps.storage.earlier_names import earlier_name, stored
from sweeps.storage.layout import PointFolder, SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset
from sweeps.trial.event_log import EventLog
from sweeps.trial.events import EpochEnded, Event, PointEnded
from sweeps.trial.pack import train_points

RATES = {"0000": {"training.learning_rate": 1e-3}, "0001": {"training.learning_rate": 1e-2}}
STACK = {"name": "stacked_denoising", "hidden_sizes": [12, 6], "pretraining": {"epochs": 2}, "tied_weights": False}
KINDS: dict[str, dict[str, Any]] = {
    "adam": {"model": {"name": "shallow", "hidden_size": 8}},
    "momentum and a schedule": {
        "model": {"name": "deep", "hidden_sizes": [16], "code_size": 4, "tied_weights": True},
        "training": {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "learning_rate": 0.01},
    },
    "standardised features": {"model": {"name": "linear", "standardize": "feature"}},
    "a stack in pretraining": {"model": STACK | {"fine_tuning": "reconstruction"}, "cut_off_at": 3},
    "a stack in fine-tuning": {"model": STACK, "cut_off_at": 6},
    "Boltzmann machines": {
        "model": STACK
        | {
            "noise": {"level": 0},
            "pretraining": {"epochs": 2, "method": "contrastive_divergence", "optimizer": "sgd", "momentum": 0.5},
        },
        "cut_off_at": 4,
    },
    "two objectives": {"objective": [{"metric": "valid/mse"}, {"metric": "valid/r2", "direction": "maximize"}]},
}


class CutOffError(BaseException):
    """Stands for the end of a process."""


class Training:
    """Points of one sweep, trained in this process."""

    def __init__(self, sweep: SweepConfig, dataset: Dataset, path: Path) -> None:
        self.sweep, self.dataset, self.folder = sweep, dataset, SweepFolder(path)

    def run(self, points: Mapping[str, Any], cut_off_at: int | None = None) -> list[Event]:
        events: list[Event] = []

        def report(epoch: int | None, _: Mapping[str, Any], reported: list[Event]) -> None:
            events.extend(reported)
            if cut_off_at is not None and epoch == cut_off_at:
                raise CutOffError

        torch.set_num_threads(1)
        context = TrialContext(
            self.sweep,
            DataArrays.from_dict(self.dataset.arrays),
            self.dataset.references,
            self.folder,
            statistics=self.dataset.statistics,
            standardized=self.dataset.standardized,
        )
        try:
            train_points(points, context, report)
        except CutOffError:
            assert cut_off_at is not None
        return events

    def reasons(self, points: Mapping[str, Any]) -> dict[str, str | None]:
        ends = [event for event in self.run(points) if isinstance(event, PointEnded)]
        return {end.point_id: end.reason if end.failed else None for end in ends}

    def point(self, point_id: str = "0000") -> PointFolder:
        return self.folder.point(point_id)


MakeTraining = Callable[..., Training]


@pytest.fixture
def training(small_sweep: Callable[..., SweepConfig], digits: Dataset, tmp_path: Path) -> MakeTraining:
    """A training in a folder of that name, saving a checkpoint after every epoch."""

    def make(name: str, dataset: Dataset = digits, **sections: Any) -> Training:
        settings = {"epochs": 4, "probe_samples": 0} | sections.pop("training", {})
        return Training(small_sweep(training=settings, **sections), dataset, tmp_path / name)

    return make


@pytest.fixture(autouse=True)
def _save_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.trial.recorder.SECONDS_BETWEEN_CHECKPOINTS", -1.0)


def metrics(events: list[Event]) -> dict[int, dict[str, float]]:
    return {event.epoch: event.metrics for event in events if isinstance(event, EpochEnded)}


def to_version_0_1(path: Any) -> None:
    """Replace a file by what version 0.1 wrote."""
    earlier_name(path).write_bytes(torch_file(tensor_file.loads(path.read_bytes())))
    path.unlink()


def torch_file(values: Any) -> bytes:
    content = io.BytesIO()
    torch.save(values, content)
    return content.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version_0_1", [False, True])
def test_a_point_resumes_to_what_it_would_have_been(
    training: MakeTraining, small_sweep: Callable[..., SweepConfig], kind: str, version_0_1: bool
) -> None:
    sections = dict(KINDS[kind])
    cut_off_at = sections.pop("cut_off_at", 2)
    if kind == "standardised features":
        from sweeps.trial.dataset import load_dataset

        sections["dataset"] = load_dataset(small_sweep(model=sections["model"]))
    whole, parts = training("whole", **sections), training("parts", **sections)
    expected = whole.run({"0000": {}})
    parts.run({"0000": {}}, cut_off_at)
    if version_0_1:
        to_version_0_1(parts.point().checkpoint)
        if parts.point().best_network.exists():
            to_version_0_1(parts.point().best_network)
    events = parts.run({"0000": {}})
    assert metrics(events) == metrics(expected)
    assert any(isinstance(event, PointEnded) and not event.failed for event in events)
    networks = [load_network(stored(each.point().best_network) or Path()).state_dict() for each in (whole, parts)]
    assert networks[0].keys() == networks[1].keys()
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])
    best = parts.point().best_network
    assert best.exists() != earlier_name(best).exists()  # that of 0.1 is replaced only by a better one


@pytest.mark.parametrize("earlier", [False, True])
def test_a_malicious_pickle_in_place_of_a_checkpoint_runs_nothing_and_leaves_the_pack_alone(
    training: MakeTraining, tmp_path: Path, earlier: bool
) -> None:
    pack = training("pack", search={"training.learning_rate": {"grid": [1e-3, 1e-2]}}, algorithm={"name": "grid"})
    pack.run(RATES, cut_off_at=2)
    checkpoint = pack.point().checkpoint
    values = tensor_file.loads(checkpoint.read_bytes())
    checkpoint.unlink()
    path = earlier_name(checkpoint) if earlier else checkpoint
    path.write_bytes(torch_file(values | {"callbacks": Malicious(tmp_path / "ran")}))
    reasons = pack.reasons(RATES)
    assert not (tmp_path / "ran").exists()
    assert reasons["0000"] == (
        f"ModelError: {path} must be a checkpoint saved by this package, and cannot be read as one: it is damaged, or "
        "holds more than plain values and tensors: run the sweep again"
    )
    assert reasons["0001"] is None


def test_a_checkpoint_of_something_else_is_refused_in_one_line(training: MakeTraining) -> None:
    point = training("point")
    point.run({"0000": {}}, cut_off_at=2)
    path = point.point().checkpoint
    content = path.read_bytes()
    values = tensor_file.loads(content)
    other = {"encoder.weight": torch.ones(2)}
    for foreign, reason in (
        (b"", "it is empty"),
        (content[:-10], "truncated"),
        (content[:-10] + b"?" + content[-9:], "its content has changed"),
        (point.point().best_network.read_bytes(), "must be a checkpoint of this trial, and holds something else"),
        (tensor_file.dumps(3), "must be a checkpoint of this trial"),
        (tensor_file.dumps(values | {"sweeps": None}), "must be a checkpoint of this trial"),
        (tensor_file.dumps(values | {"sweeps": values["sweeps"] | {"network": other}}), "must be a checkpoint of"),
        (tensor_file.dumps(values | {"sweeps": values["sweeps"] | {"events": b"["}}), "must be a checkpoint of"),
        (tensor_file.dumps(values | {"sweeps": values["sweeps"] | {"best": []}}), "must be a checkpoint of"),
        (tensor_file.dumps(values | {"sweeps": values["sweeps"] | {"epoch": math.inf}}), "must be a checkpoint of"),
        (tensor_file.dumps(values | {"sweeps": values["sweeps"] | {"network": 3}}), "must be a checkpoint of"),
    ):
        path.write_bytes(foreign)
        reason_of_point = point.reasons({"0000": {}})["0000"]
        assert reason_of_point is not None
        assert reason in reason_of_point
        assert reason_of_point.startswith(f"ModelError: {path} must be a checkpoint")
        assert reason_of_point.endswith("run the sweep again")


METRICS = st.dictionaries(st.text(max_size=5), st.floats(), max_size=3)


@given(st.lists(METRICS, max_size=5))
@settings(deadline=None)
def test_events_are_the_same_after_a_checkpoint(histories: list[dict[str, float]]) -> None:
    folder = PointFolder(Path("points/0000"))
    log, restored = (EventLog(folder, "", lambda *_: None) for _ in range(2))
    for epoch, values in enumerate(histories):
        log.add_epoch(epoch, values)
    restored.restore(log.state())
    assert repr(restored._pending) == repr(log._pending)

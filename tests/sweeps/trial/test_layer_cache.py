"""Pretrained layers that points of a sweep share: trained once, with the metrics that each point has alone."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from malicious import Malicious
from pydantic import TypeAdapter

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models import tensor_file
from sweeps.models.config import StackedDenoisingConfig
from sweeps.models.training.layer_digest import layer_digest, layer_settings
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset
from sweeps.trial.events import REUSED_EPOCHS, EpochEnded, Event, PointEnded
from sweeps.trial.layer_cache import LayerStore, TrainedLayer, can_recur
from sweeps.trial.pack import train_points

MODEL: dict[str, Any] = {
    "name": "stacked_denoising",
    "hidden_sizes": [16, 8],
    "pretraining": {"epochs": 2, "batch_size": 128},
}
RATES = {"training.learning_rate": {"grid": [1e-3, 3e-3, 1e-2]}}
POINTS = {f"000{index}": {"training.learning_rate": rate} for index, rate in enumerate([1e-3, 3e-3, 1e-2])}
LAYER = TrainedLayer({"encoder.weight": torch.ones(2, 3)}, [{"pretrain/loss": 0.5}])


class CutOffError(BaseException):
    """Stands for the end of a process."""


class Reports:
    """Collect what points report; at epoch `cut_off_at` their process ends."""

    def __init__(self, cut_off_at: int | None = None) -> None:
        self.events: list[Event] = []
        self.cut_off_at = cut_off_at

    def __call__(self, epoch: int | None, objectives: Mapping[str, Any], events: list[Event]) -> None:
        self.events += events
        if self.cut_off_at is not None and epoch == self.cut_off_at:
            raise CutOffError

    def metrics(self, point_id: str) -> dict[int, dict[str, float]]:
        ended = [event for event in self.events if isinstance(event, EpochEnded) and event.point_id == point_id]
        return {event.epoch: event.metrics for event in ended}

    def figures(self, point_id: str) -> dict[int, int]:
        ended = [event for event in self.events if isinstance(event, EpochEnded) and event.point_id == point_id]
        return {event.epoch: len(event.figures) for event in ended}

    @property
    def reused(self) -> dict[str, int]:
        ends = [event for event in self.events if isinstance(event, PointEnded)]
        assert not any(event.failed for event in ends), ends
        return {event.point_id: int(event.tags.get(REUSED_EPOCHS, "0")) for event in ends}


@pytest.fixture
def train(small_sweep: Callable[..., SweepConfig], digits: Dataset) -> Callable[..., Reports]:
    """Run points of a sweep of small stacks on digits, over fine-tuning rates unless `search` is given."""

    def run(
        folder: Path, points: Mapping[str, Any] = POINTS, *, cut_off_at: int | None = None, **sections: Any
    ) -> Reports:
        torch.set_num_threads(1)
        reports = Reports(cut_off_at)
        sections = {"model": MODEL, "search": RATES, "algorithm": {"name": "grid"}} | sections
        arrays = DataArrays.from_dict(digits.arrays)
        train_points(
            points, TrialContext(small_sweep(**sections), arrays, digits.references, SweepFolder(folder)), reports
        )
        return reports

    return run


@pytest.fixture
def metrics_alone(train: Callable[..., Reports], tmp_path: Path) -> dict[str, dict[int, dict[str, float]]]:
    """The metrics of each point trained in its own folder, without layers to reuse."""
    return {
        point_id: train(tmp_path / f"alone-{point_id}", {point_id: point}).metrics(point_id)
        for point_id, point in POINTS.items()
    }


def test_later_points_reuse_layers_and_get_the_metrics_of_training_alone(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path
) -> None:
    for index, (point_id, point) in enumerate(POINTS.items()):
        reports = train(tmp_path / "shared", {point_id: point})
        assert reports.metrics(point_id) == metrics_alone[point_id]
        assert reports.reused == {point_id: 4 if index else 0}


@pytest.mark.parametrize("untied", [False, True])
def test_a_pack_trains_a_shared_layer_once(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path, untied: bool
) -> None:
    reports = train(tmp_path / "pack", **({"model": MODEL | {"tied_weights": False, "loss": "mse"}} if untied else {}))
    assert reports.reused == {"0000": 0, "0001": 4, "0002": 4}
    if not untied:
        assert {point_id: reports.metrics(point_id) for point_id in POINTS} == metrics_alone


def test_points_that_differ_in_their_last_layer_share_the_first(train: Callable[..., Reports], tmp_path: Path) -> None:
    search = {"model.hidden_sizes": {"grid": [[16, 8], [16, 4], [12, 8]]}}
    points = {f"000{index}": {"model.hidden_sizes": sizes} for index, sizes in enumerate([[16, 8], [16, 4], [12, 8]])}
    assert train(tmp_path, points, search=search).reused == {"0000": 0, "0001": 2, "0002": 0}


def test_a_reused_layer_has_figures_at_the_end_of_its_phase(train: Callable[..., Reports], tmp_path: Path) -> None:
    first = train(tmp_path, {"0000": POINTS["0000"]})
    reusing = train(tmp_path, {"0001": POINTS["0001"]})
    assert reusing.figures("0001")[4] == first.figures("0000")[4] > 0  # the last epoch of pretraining
    assert reusing.figures("0001")[0] == first.figures("0000")[0] > 0


def test_an_unreadable_layer_is_retrained(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path
) -> None:
    train(tmp_path / "shared", {"0000": POINTS["0000"]})
    for saved in SweepFolder(tmp_path / "shared").layers.glob("*.safetensors"):
        saved.write_bytes(saved.read_bytes()[:-100])
    reports = train(tmp_path / "shared", {"0001": POINTS["0001"]})
    assert reports.reused == {"0001": 0}
    assert reports.metrics("0001") == metrics_alone["0001"]


def layer_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "layers").iterdir() if path.suffix != ".lock")


def torch_file(values: Any) -> bytes:
    content = io.BytesIO()
    torch.save(values, content)
    return content.getvalue()


def test_layers_of_version_0_1_are_reused(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path
) -> None:
    train(tmp_path, {"0000": POINTS["0000"]})
    for path in layer_files(tmp_path):
        path.with_suffix(".pt").write_bytes(torch_file(tensor_file.loads(path.read_bytes())))
        path.unlink()
    reports = train(tmp_path, {"0001": POINTS["0001"]})
    assert reports.reused == {"0001": 4}
    assert reports.metrics("0001") == metrics_alone["0001"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_malicious_pickle_in_place_of_a_layer_runs_nothing(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path, suffix: str
) -> None:
    folder, marker = tmp_path / "shared", tmp_path / "ran"
    train(folder, {"0000": POINTS["0000"]})
    for path in layer_files(folder):
        values = tensor_file.loads(path.read_bytes())
        path.unlink()
        path.with_suffix(suffix).write_bytes(torch_file(values | {"more": Malicious(marker)}))
    reports = train(folder, {"0001": POINTS["0001"]})
    assert not marker.exists()
    assert reports.reused == {"0001": 0}
    assert reports.metrics("0001") == metrics_alone["0001"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda _: 3,
        lambda layer: {"parameters": layer["parameters"]},
        lambda layer: layer | {"metrics": "many"},
        lambda layer: layer | {"metrics": layer["metrics"][:1]},
        lambda layer: layer | {"parameters": {"encoder.weight": 1.0}},
        lambda layer: layer | {"parameters": {}},
        lambda layer: layer | {"parameters": layer["parameters"] | {"encoder.weight": torch.ones(2)}},
    ],
)
def test_another_layer_in_place_of_one_is_not_adopted(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path, changed: Callable[[Any], Any]
) -> None:
    train(tmp_path, {"0000": POINTS["0000"]})
    for path in layer_files(tmp_path):
        path.write_bytes(tensor_file.dumps(changed(tensor_file.loads(path.read_bytes()))))
    reports = train(tmp_path, {"0001": POINTS["0001"]})
    assert reports.reused == {"0001": 0}
    assert reports.metrics("0001") == metrics_alone["0001"]


def test_a_point_resumed_after_reusing_layers_still_reports_the_reuse(
    train: Callable[..., Reports], metrics_alone: Mapping[str, Any], tmp_path: Path
) -> None:
    train(tmp_path / "shared", {"0000": POINTS["0000"]})
    with pytest.raises(CutOffError):
        train(tmp_path / "shared", {"0001": POINTS["0001"]}, cut_off_at=5)
    reports = train(tmp_path / "shared", {"0001": POINTS["0001"]})
    assert reports.reused == {"0001": 4}
    assert reports.metrics("0001") == {epoch: metrics_alone["0001"][epoch] for epoch in reports.metrics("0001")}


def test_two_processes_train_a_shared_layer_once(small_sweep: Callable[..., SweepConfig], tmp_path: Path) -> None:
    sweep = small_sweep(model=MODEL | {"pretraining": {"epochs": 30}}, search=RATES, algorithm={"name": "grid"})
    script = """
import json, sys
import torch
from sweeps.datamodules.arrays import DataArrays
from pathlib import Path
from sweeps.config import SweepConfig
from sweeps.trial.dataset import load_dataset
from sweeps.trial.events import REUSED_EPOCHS
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.pack import train_points
torch.set_num_threads(1)
config, folder, point_id, rate = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
sweep = SweepConfig.from_dict(config)
data = load_dataset(sweep)
context = TrialContext(sweep, DataArrays.from_dict(data.arrays), data.references, SweepFolder(folder))
tags = {}
train_points({point_id: {"training.learning_rate": rate}}, context,
           lambda epoch, objectives, events: tags.update(getattr(events[-1], "tags", {})))
print(tags.get(REUSED_EPOCHS, 0))
"""
    commands = [
        [sys.executable, "-c", script, json.dumps(sweep.to_dict()), str(tmp_path), point_id, str(rate)]
        for point_id, rate in [("0000", 1e-3), ("0001", 1e-2)]
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    reused = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(reused) == 60, "of two layers of thirty epochs, each was trained by one of the two processes"


def test_only_one_process_holds_a_claim_and_its_exit_releases_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from sweeps.trial.layer_cache import LayerStore\n"
        "with LayerStore(Path(sys.argv[1])).claim('key') as mine: print(mine, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with LayerStore(tmp_path).claim("key") as is_mine:
            assert not is_mine
        other.kill()
        other.wait()
    with LayerStore(tmp_path).claim("key") as is_mine:
        assert is_mine


def test_a_saved_layer_loads_unchanged(tmp_path: Path) -> None:
    store = LayerStore(tmp_path)
    assert store.load("key") is None
    store.save("key", LAYER)
    loaded = store.load("key")
    assert loaded is not None
    assert torch.equal(loaded.parameters["encoder.weight"], LAYER.parameters["encoder.weight"])
    assert loaded.metrics == LAYER.metrics


CHANGES: list[dict[str, Any]] = [
    {"hidden_sizes": [16, 9]},
    {"hidden_sizes": [15, 8]},
    {"hidden_sizes": [16]},
    {"fine_tuning": "reconstruction"},
    {"noise": {"level": [0.2, 0.4]}},
    {"noise": {"level": [0.3, 0.2]}},
    {"noise": {"level": 0.2}},
    {"noise": {"kind": "salt_and_pepper", "level": 0.2}},
    {"weight_l1": 1e-3},
    {"hidden_l1": 1e-2},
    {"code_activation": "linear"},
    {"initialization": "small"},
    {"loss_reduction": "sum"},
    {"pretraining": {"epochs": 3, "batch_size": 128}},
    {"pretraining": {"epochs": 2, "batch_size": 64}},
    {"pretraining": {"epochs": 2, "batch_size": 128, "learning_rate": 2e-3}},
    {"pretraining": {"epochs": 2, "batch_size": 128, "code_learning_rate": 2e-3}},
    {"pretraining": {"epochs": 2, "batch_size": 128, "optimizer": "sgd"}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_digests_match_exactly_when_training_gives_the_same_layers(
    train: Callable[..., Reports], tmp_path: Path, change: dict[str, Any], n_layers: int
) -> None:
    documents = [MODEL, MODEL | change]
    digests, layers = [], []
    for index, document in enumerate(documents):
        model = TypeAdapter(StackedDenoisingConfig).validate_python(document)
        digests.append(layer_digest(layer_settings(model, min(n_layers, len(model.hidden_sizes))), 0, 0))
        layers.append(_first_layers(train, tmp_path / str(index), document, n_layers))
    assert (digests[0] == digests[1]) == _equal(*layers)


def _first_layers(
    train: Callable[..., Reports], folder: Path, model: dict[str, Any], n_layers: int
) -> list[dict[str, torch.Tensor]]:
    """The layers that a sweep caches after training one point."""
    train(folder, {"0000": POINTS["0000"]}, model=model, training={"epochs": 1, "probe_samples": 0})
    config = TypeAdapter(StackedDenoisingConfig).validate_python(model)
    store = LayerStore(SweepFolder(folder).layers)
    n_kept = min(n_layers, len(config.hidden_sizes))
    keys = [layer_digest(layer_settings(config, k), 0, 0) for k in range(1, n_kept + 1)]
    layers = [store.load(key) for key in keys]
    assert all(layer is not None for layer in layers)
    return [layer.parameters for layer in layers if layer is not None]


def _equal(some: list[dict[str, torch.Tensor]], others: list[dict[str, torch.Tensor]]) -> bool:
    return len(some) == len(others) and all(
        a.keys() == b.keys() and all(a[name].shape == b[name].shape and torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(some, others, strict=True)
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, False),
        ({"training.learning_rate": {"choice": [1e-4, 1e-2]}}, True),
        ({"training.learning_rate": {"loguniform": [1e-4, 1e-2]}}, True),
        ({"model.weight_l1": {"loguniform": [1e-4, 1e-2]}}, False),
        ({"model.weight_l1": {"choice": [0.0, 1e-3]}}, True),
        ({"training.seed": {"int": [0, 3]}}, True),
        ({"training.seed": {"int": [0, 1000]}}, False),
        ({"model.noise.level": {"uniform": [0.0, 0.4]}, "training.learning_rate": {"choice": [1e-3]}}, False),
    ],
)
def test_layers_are_cached_only_if_two_points_can_share_them(
    small_sweep: Callable[..., SweepConfig], search: dict[str, Any], expected: bool
) -> None:
    sweep = small_sweep(model=MODEL, search=search, budget={"trials": 4})
    assert can_recur(sweep) == expected

"""Points trained one after another in one process, as on a worker that Tune reuses, leave nothing behind."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.cluster.tune import trainable
from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.trial.context import Accelerator
from sweeps.trial.dataset import Dataset
from sweeps.trial.events import EpochEnded, from_plain

PLAIN: Point = {"model.hidden_size": 8}
OTHERS: list[Point] = [
    {"model.hidden_size": 16, "model.noise": {"kind": "gaussian", "level": 0.3}},
    {"training.learning_rate": 1e30},  # diverges
    {"model.hidden_size": 4, "training.optimizer": "sgd"},
]
STACKED = {"name": "stacked_denoising", "hidden_sizes": [8, 4], "pretraining": {"epochs": 1}}

# Trains points of a sweep as one pack, as a worker does, and returns the metrics of each epoch.
TrainPack = Callable[..., list[dict[str, float]]]


@pytest.fixture
def train(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainPack:
    n_packs = 0

    def run(
        sweep: SweepConfig, *points: Point, tune: Callable[[Any], None] = lambda _: None, on: Accelerator = "cpu"
    ) -> Any:
        nonlocal n_packs
        n_packs += 1
        events: list[dict[str, Any]] = []

        def report(result: dict[str, Any]) -> None:
            events.extend(result["events"])
            tune(result)

        monkeypatch.setattr("ray.tune.report", report)
        inputs = trainable.TrialInputs(
            sweep.to_dict(), dict(digits.arrays), digits.pca_mse, digits.column_mean, str(tmp_path), on
        )
        trainable.train_pack(
            {"points": [{"id": f"{n_packs:04d}-{n}", "point": point} for n, point in enumerate(points)]},
            inputs=inputs,
        )
        return [event.metrics for event in from_plain(events) if isinstance(event, EpochEnded)]

    return run


@pytest.fixture
def _garbage_collection_disabled() -> Iterator[None]:
    trainable.import_pack()  # which enables the collector again
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def n_tensors() -> int:
    """The number of tensors that are still referenced."""
    return sum(issubclass(type(kept), torch.Tensor) for kept in gc.get_objects())


def test_a_point_trains_bit_identically_after_other_points(
    small_sweep: Callable[..., SweepConfig], train: TrainPack
) -> None:
    sweep = small_sweep(model={"name": "shallow", "noise": {"level": 0.2}})
    first = train(sweep, PLAIN)
    for point in OTHERS:
        train(sweep, point)
    assert first
    assert train(sweep, PLAIN) == first


@pytest.mark.usefixtures("_garbage_collection_disabled")
def test_points_leave_no_tensors_or_threads_in_the_process(
    small_sweep: Callable[..., SweepConfig], train: TrainPack
) -> None:
    sweep = small_sweep(training={"epochs": 1})
    counted = []
    for point in [PLAIN, *OTHERS, PLAIN]:
        train(sweep, point)
        counted.append((n_tensors(), threading.active_count()))
    assert len(set(counted)) == 1


@pytest.mark.usefixtures("_garbage_collection_disabled")
@pytest.mark.parametrize("sections", [{"execution": "packed"}, {"model": STACKED}], ids=["packed", "stacked"])
def test_packs_leave_no_tensors(
    small_sweep: Callable[..., SweepConfig], train: TrainPack, sections: dict[str, Any]
) -> None:
    sweep = small_sweep(training={"epochs": 1}, **sections)
    points: list[Point] = [{"training.learning_rate": rate} for rate in (1e-3, 1e-2)]
    train(sweep, *points)
    before = n_tensors()
    train(sweep, *points)
    assert n_tensors() == before


@pytest.mark.usefixtures("_garbage_collection_disabled")
def test_a_point_that_tune_stops_leaves_no_tensors(small_sweep: Callable[..., SweepConfig], train: TrainPack) -> None:
    def stop(result: dict[str, Any]) -> None:
        if result["epoch"] == 2:
            raise SystemExit

    train(small_sweep(), PLAIN)
    before = n_tensors()
    with suppress(SystemExit):
        train(small_sweep(), PLAIN, tune=stop)
        pytest.fail("the point was not stopped")
    assert n_tensors() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("_garbage_collection_disabled")
@pytest.mark.parametrize(
    ("model", "points"),
    [({"name": "shallow"}, [PLAIN, *OTHERS]), (STACKED, [{}, {"training.learning_rate": 1e-2}])],
    ids=["shallow", "stacked"],
)
def test_packs_leave_no_gpu_memory_allocated(
    small_sweep: Callable[..., SweepConfig], train: TrainPack, model: dict[str, Any], points: list[Point]
) -> None:
    sweep = small_sweep(training={"epochs": 1}, model=model)
    train(sweep, *points, on="gpu")
    before = torch.cuda.memory_allocated()  # includes the permanent workspaces of libraries
    train(sweep, *points, on="gpu")
    assert torch.cuda.memory_allocated() == before

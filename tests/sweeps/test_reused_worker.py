"""Points trained one after the other in one process, as on a worker that Tune reuses: none leaves anything behind."""

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from datamodules.arrays import DataArrays
from sweeps.config import SweepConfig
from sweeps.dataset import Dataset
from sweeps.events import EpochEnded, Event
from sweeps.folder import SweepFolder
from sweeps.search.space import Point
from sweeps.trial import Surroundings, run_points

PLAIN: Point = {"model.hidden_size": 8}
OTHERS: list[Point] = [
    {"model.hidden_size": 16, "model.noise": {"kind": "gaussian", "level": 0.3}},
    {"training.learning_rate": 1e30},  # diverges
    {"model.hidden_size": 4, "training.optimizer": "sgd"},
]


def train(sweep: SweepConfig, dataset: Dataset, folder: Path, name: str, point: Point) -> list[dict[str, float]]:
    """The metrics of each epoch, with arrays read anew as for every trial."""
    told: list[Event] = []
    around = Surroundings(sweep, DataArrays.from_dict(dataset.arrays), dataset.references, SweepFolder(folder))
    run_points({name: point}, around, lambda *reported: told.extend(reported[-1]))
    return [event.metrics for event in told if isinstance(event, EpochEnded)]


def n_tensors() -> int:
    """Tensors that anything still refers to."""
    gc.collect()
    return sum(issubclass(type(kept), torch.Tensor) for kept in gc.get_objects())


def test_a_point_trains_to_the_last_bit_as_if_none_had_been_there_before(
    small_sweep: Callable[..., SweepConfig], digits: Dataset, tmp_path: Path
) -> None:
    sweep = small_sweep(model={"name": "shallow", "noise": {"level": 0.2}})
    first = train(sweep, digits, tmp_path, "0000", PLAIN)
    for number, point in enumerate(OTHERS, start=1):
        train(sweep, digits, tmp_path, f"{number:04d}", point)
    assert train(sweep, digits, tmp_path, "0009", PLAIN) == first


def test_points_leave_neither_tensors_nor_threads_in_the_process(
    small_sweep: Callable[..., SweepConfig], digits: Dataset, tmp_path: Path
) -> None:
    sweep = small_sweep(training={"epochs": 1})
    counted = []
    for number, point in enumerate([PLAIN, *OTHERS, PLAIN, *OTHERS]):
        train(sweep, digits, tmp_path, f"{number:04d}", point)
        counted.append((n_tensors(), threading.active_count()))
    assert counted[len(OTHERS)] == counted[-1]

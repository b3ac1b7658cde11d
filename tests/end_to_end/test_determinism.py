"""The same seed gives the same points and, on the CPU, the same metrics bit for bit."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sweeps.cluster.session import connect
from sweeps.config import load
from sweeps.launch import run
from sweeps.storage.layout import SweepFolder, home
from sweeps.tracking.journal.journal import Journal

pytestmark = pytest.mark.slow

SPACE = {
    "model.hidden_size": {"choice": [8, 16]},
    "model.noise.level": {"uniform": [0.0, 0.5]},
    "training.learning_rate": {"loguniform": [1e-4, 1e-2]},
}

Outcome = dict[int, tuple[Any, Any]]


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One local Ray for all sweeps of this module, each with workers of its own."""
    with connect(None):
        yield


def outcome(path: str, *overrides: str) -> Outcome:
    """Points and their whole histories by index."""
    result = run(load(path, overrides), offline=True)
    assert result.record.state == "FINISHED"
    with Journal.open(SweepFolder(home() / "sweeps" / result.sweep).journal, read_only=True) as journal:
        return {point.index: (dict(point.point), journal.history(point.point_id)) for point in journal.points()}


@pytest.mark.parametrize(
    ("algorithm", "space"), [("random", SPACE), ("grid", {"model.hidden_size": {"grid": [8, 16, 24, 32]}})]
)
def test_sweep_is_the_same_at_any_concurrency(
    sweep_file: Callable[..., str], algorithm: str, space: dict[str, Any]
) -> None:
    path = sweep_file(search=space, budget={"trials": 4}, algorithm={"name": algorithm})
    at_once = outcome(path)
    one_by_one = outcome(path, "resources.concurrency=1")
    assert len(at_once) == 4
    assert at_once == one_by_one


def test_tpe_in_synchronous_batches_is_the_same_twice(sweep_file: Callable[..., str]) -> None:
    path = sweep_file(search=SPACE, budget={"trials": 6}, algorithm={"name": "tpe", "batch_size": 2, "seed": 3})
    assert outcome(path) == outcome(path)

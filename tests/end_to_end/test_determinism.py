"""The same seed gives the same points and, on the CPU, the same metrics bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest

from sweeps.tracking.journal import Journal

pytestmark = pytest.mark.slow

SPACE = {
    "model.hidden_size": {"choice": [8, 16]},
    "model.noise.level": {"uniform": [0.0, 0.5]},
    "training.learning_rate": {"loguniform": [1e-4, 1e-2]},
}


def outcome(home: Any, *arguments: str) -> dict[int, tuple[Any, Any]]:
    """Points and their whole histories by index."""
    sweep = home.run_json("run", *arguments)["sweep"]
    with Journal.open(home.path / "sweeps" / sweep / "journal.db", read_only=True) as journal:
        return {point.index: (dict(point.point), journal.history(point.point_id)) for point in journal.points()}


@pytest.mark.parametrize(
    ("algorithm", "space"), [("random", SPACE), ("grid", {"model.hidden_size": {"grid": [8, 16, 24, 32]}})]
)
def test_sweep_is_the_same_at_any_concurrency(
    home: Any, sweep_file: Callable[..., str], algorithm: str, space: dict[str, Any]
) -> None:
    path = sweep_file(search=space, budget={"trials": 4}, algorithm={"name": algorithm})
    at_once = outcome(home, path)
    one_by_one = outcome(home, path, "--set", "resources.concurrency=1")
    assert len(at_once) == 4
    assert at_once == one_by_one


def test_tpe_in_synchronous_batches_is_the_same_twice(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(search=SPACE, budget={"trials": 6}, algorithm={"name": "tpe", "batch_size": 2, "seed": 3})
    assert outcome(home, path) == outcome(home, path)


def test_another_seed_of_the_search_gives_other_points(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(search=SPACE, budget={"trials": 2}, training={"epochs": 1, "probe_samples": 0})
    first, second = outcome(home, path), outcome(home, path, "--set", "algorithm.seed=1")
    assert [point for point, _ in first.values()] != [point for point, _ in second.values()]

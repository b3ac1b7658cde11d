"""Sweeps for searchers to search, and a stand-in for their training."""

import random
from typing import Any

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.search.searchers import Ended, Proposal, point_searcher

SEARCH = {
    "model.hidden_size": {"logint": [8, 64]},
    "model.weight_l1": {"loguniform": [1e-5, 1e-1]},
    "model.noise.level": {"uniform": [0.0, 0.5]},
    "training.epochs": {"int": [1, 3]},
    "model.activation": {"choice": ["relu", "elu"]},
}
LISTS = {"model.hidden_sizes": {"choice": [[9, 8], [7]]}, "model.code_size": {"choice": [2, 3]}}
# All points of this search space take the same batches.
ALIKE = {"model.weight_l1": {"loguniform": [1e-5, 1e-1]}, "model.noise.level": {"uniform": [0.0, 0.5]}}


def sweep(algorithm: str, *, n_trials: int = 12, seed: int = 0, **sections: Any) -> SweepConfig:
    document = {
        "name": "test",
        "data": {"name": "digits"},
        "model": {"name": "shallow"},
        "search": SEARCH,
        "objective": {"metric": "valid/mse"},
        "algorithm": {"name": algorithm, "seed": seed, "batch_size": 3},
        "budget": {"trials": n_trials},
    }
    return SweepConfig.from_dict(document | sections)


def result_of(point: Point, config: SweepConfig) -> list[float] | None:
    """A stand-in for a training, which fails for some points."""
    level = sum(len(str(value)) if isinstance(value, str | list) else value for value in point.values())
    return None if int(1000 * level) % 5 == 0 else [level, -level][: len(config.objectives)]


def run(config: SweepConfig, *, concurrency: int, seed: int, ended: dict[int, Ended] | None = None) -> list[Proposal]:
    """Train all points, up to `concurrency` at once; they end in an order drawn from `seed`."""
    order = random.Random(seed)
    searcher = point_searcher(config, ended)
    running: list[Proposal] = []
    trained: list[Proposal] = []
    while running or not searcher.is_exhausted:
        running += searcher.ask(concurrency - len(running))
        assert running, "nothing runs and the searcher waits"
        done = running.pop(order.randrange(len(running)))
        searcher.tell(done.index, result_of(done.point, config))
        trained.append(done)
    assert searcher.ask(1) == []
    return sorted(trained, key=lambda proposal: proposal.index)

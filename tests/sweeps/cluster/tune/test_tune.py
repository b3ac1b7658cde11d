"""A searcher and a scheduler within a real Ray Tune."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from sweeps.cluster.tune.schedulers import scheduler
from sweeps.cluster.tune.searcher import TuneSearcher
from sweeps.config import SweepConfig, load


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    for n_left in (2, 1, 0):
        try:
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
            break
        except RuntimeError:  # Ray of another test, with a token, took the port between its choice and its use
            ray.shutdown()
            if not n_left:
                raise
    yield
    ray.shutdown()


def train(pack: dict[str, Any]) -> None:
    (entry,) = pack["points"]
    for epoch in range(1, 5):
        if entry["index"] == 2:
            raise RuntimeError("raised by the test")
        value = math.nan if entry["index"] == 1 else entry["point"]["model.noise.level"] + 1 / epoch
        tune.report({"epoch": epoch, "objective": value, "objectives": {entry["id"]: value}})


def run(config: SweepConfig, folder: Path) -> dict[int, tuple[dict[str, Any], int | None]]:
    """The point and the last epoch of each trial."""
    tuner = tune.Tuner(
        train,
        tune_config=tune.TuneConfig(
            search_alg=TuneSearcher(config, 2),
            scheduler=scheduler(config),
            num_samples=config.n_trials,
            max_concurrent_trials=2,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    results = tuner.fit()
    entries = [(result.config["points"][0], result.metrics or {}) for result in results]
    return {entry["index"]: (entry["point"], metrics.get("epoch")) for entry, metrics in entries}


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
@pytest.mark.timeout(240)
def test_tpe_with_early_stopping_finishes_when_one_trial_raises_and_one_diverges(tmp_path: Path) -> None:
    config = load(
        "quickstart",
        ["budget.trials=6", "training.epochs=4", "algorithm={name: tpe, batch_size: 3}", "stopping.name=asha"],
    )
    trained = run(config, tmp_path)
    assert sorted(trained) == list(range(6))
    assert [list(point) for point, _ in trained.values()] == [list(config.search)] * 6
    last_epochs = {index: epoch for index, (_, epoch) in trained.items()}
    assert last_epochs[2] is None, "the trial that raises has no result"
    assert last_epochs[1] == 4, "the trial that diverges is not compared"
    assert 4 in (last_epochs[0], last_epochs[3]), "the first trial at a rung is ahead of all"

"""A point is trained again on other seeds, and the median seed is judged."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from challengers import first_promotion

from sweeps.config import SweepConfig
from sweeps.evaluation import load_best_network
from sweeps.registry import gates
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.gates import Judgement
from sweeps.registry.reseeding import median_seed, seeds_sweep
from sweeps.registry.sample_losses import network_predictor
from sweeps.registry.significance import GateOutcome
from sweeps.tracking.results import SweepResult

MakeSweep = Callable[..., SweepConfig]
Run = Callable[[SweepConfig], SweepResult]


def test_a_point_is_trained_again_on_other_seeds_and_nothing_else_changes(small_sweep: MakeSweep) -> None:
    config = small_sweep(
        search={"model.hidden_size": {"int": [8, 64]}},
        budget={"trials": 4},
        training={"epochs": 6, "seed": 3},
        stopping={"name": "asha"},
        promotion={"confidence": 0.9},
    )
    trial = config.trial_at({"model.hidden_size": 24})
    again = seeds_sweep(Benchmark(config, trial, None), 3)  # type: ignore[arg-type]
    assert again.n_trials == 3
    trials = again.corner_trials()
    assert [one.training.seed for one in trials] == [4, 5, 6]
    assert {one.model.hidden_size for one in trials} == {24}
    assert {one.to_dict() | {"training": None} == trial.to_dict() | {"training": None} for one in trials} == {True}
    assert (again.experiment, again.promotion, again.stopping.name) == (config.experiment, config.promotion, "none")


def test_the_median_of_the_seeds_is_judged(run_one: Any, run_here: Run) -> None:
    benchmark, result = run_one(model={"name": "shallow", "hidden_size": 80})
    again = run_here(seeds_sweep(benchmark, 3))
    challenge = first_promotion(benchmark, load_best_network(result, "0000"))

    def judge_seeds(n_seeds: int, *, first: bool) -> Judgement:
        reseeded = replace(challenge, first=first, reseed=lambda contest: median_seed(contest, again, n_seeds))
        judgement = gates.seeds(reseeded)
        assert judgement is not None
        return judgement

    gate = judge_seeds(3, first=True)
    losses = sorted(
        benchmark.losses(network_predictor(load_best_network(again, t.trial))).mean() for t in again.ranking
    )
    assert gate.outcome is GateOutcome.PASSED, gate.sentence
    assert (gate.numbers["best"], gate.numbers["worst"]) == pytest.approx((losses[0], losses[2]))
    (median,) = [t for t in again.ranking if t.point["training.seed"] == gate.numbers["seed"]]
    assert benchmark.losses(network_predictor(load_best_network(again, median.trial))).mean() == pytest.approx(
        losses[1]
    )
    assert judge_seeds(4, first=True).outcome is GateOutcome.FAILED
    assert judge_seeds(3, first=False).outcome is GateOutcome.FAILED

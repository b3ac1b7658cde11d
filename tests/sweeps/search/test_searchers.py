import itertools
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.cluster.tune.searcher import TuneSearcher
from sweeps.config import SweepConfig, load
from sweeps.config.search_space import Point, parse_range
from sweeps.search.searchers import Ended, Proposal, point_searcher
from sweeps.search.searchers.random_search import random_point

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


GRID = {"model.hidden_size": {"grid": [8, 16]}, "training.seed": {"grid": [0, 1, 2]}}
SWEEPS = {
    "random": lambda: sweep("random"),
    "grid": lambda: sweep("grid", search=GRID),
    "tpe": lambda: sweep("tpe"),
    "tpe over lists": lambda: sweep("tpe", model={"name": "deep"}, search=LISTS),
    "tpe for a front": lambda: sweep("tpe", objective=[{"metric": "valid/mse"}, {"metric": "valid/r2"}]),
}
every_algorithm = pytest.mark.parametrize("make", SWEEPS.values(), ids=SWEEPS.keys())


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


@every_algorithm
def test_every_point_is_proposed_once_and_lies_in_the_space(make: Callable[[], SweepConfig]) -> None:
    config = make()
    trained = run(config, concurrency=2, seed=0)
    assert [proposal.index for proposal in trained] == list(range(config.n_trials))
    for proposal in trained:
        assert list(proposal.point) == list(config.search)
        config.trial_at(proposal.point)


@every_algorithm
@pytest.mark.parametrize("concurrency", [1, 3, 5])
def test_the_same_seed_gives_the_same_points_at_any_concurrency_and_order(
    make: Callable[[], SweepConfig], concurrency: int
) -> None:
    assert run(make(), concurrency=concurrency, seed=concurrency) == run(make(), concurrency=2, seed=0)


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_another_seed_gives_other_points(algorithm: str) -> None:
    assert run(sweep(algorithm, seed=1), concurrency=1, seed=0) != run(sweep(algorithm), concurrency=1, seed=0)


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_the_order_of_the_search_space_does_not_affect_the_points(algorithm: str) -> None:
    turned = sweep(algorithm, search=dict(reversed(SEARCH.items())))
    assert run(turned, concurrency=1, seed=0) == run(sweep(algorithm), concurrency=1, seed=0)


@every_algorithm
def test_a_searcher_made_from_the_points_that_have_ended_continues_as_the_first_would(
    make: Callable[[], SweepConfig],
) -> None:
    config = make()
    whole = run(config, concurrency=1, seed=0)
    ended = {at.index: Ended(at.point, result_of(at.point, config)) for at in whole if at.index in (0, 1, 2, 3, 5)}
    assert run(config, concurrency=2, seed=3, ended=ended) == [at for at in whole if at.index not in ended]


@every_algorithm
def test_unfinished_points_are_proposed_again_unchanged(make: Callable[[], SweepConfig]) -> None:
    config = make()
    first, second = point_searcher(config).ask(2)
    # As the journal has them, and not in the order in which the searcher would propose them now.
    ended = {0: Ended(json.loads(json.dumps(second.point)), [0.5] * len(config.objectives))}
    unfinished = {1: json.loads(json.dumps(first.point))}
    searcher = point_searcher(config, ended, unfinished)
    (proposal,) = searcher.ask(1)
    assert proposal == Proposal(1, first.point)
    searcher.tell(1, [0.1] * len(config.objectives))
    assert searcher.ask(1)[0].index == 2


def test_a_longer_sweep_starts_with_the_points_of_the_shorter() -> None:
    for algorithm in ("random", "tpe"):
        short = run(sweep(algorithm, n_trials=6), concurrency=1, seed=0)
        assert run(sweep(algorithm, n_trials=9), concurrency=1, seed=0)[:6] == short


def test_grid_takes_every_combination_with_the_last_path_varying_fastest() -> None:
    points = [proposal.point for proposal in run(sweep("grid", search=GRID), concurrency=1, seed=0)]
    assert [tuple(point.values()) for point in points] == list(itertools.product([8, 16], [0, 1, 2]))


def test_a_sweep_without_a_search_space_is_one_empty_point() -> None:
    for algorithm in ("random", "tpe", "grid"):
        assert run(sweep(algorithm, search={}), concurrency=1, seed=0) == [Proposal(0, {})]


@every_algorithm
def test_a_preview_lies_in_the_space_and_proposes_nothing(make: Callable[[], SweepConfig]) -> None:
    config = make()
    searcher = point_searcher(config)
    points = searcher.preview(64)
    assert len(points) == config.n_trials
    assert searcher.preview(2) == points[:2]
    assert all(list(point) == list(config.search) for point in points)
    assert [proposal.index for proposal in searcher.ask(2)] == [0, 1]


@pytest.mark.parametrize("algorithm", ["random", "grid"])
def test_a_preview_of_independent_points_is_the_points_themselves(algorithm: str) -> None:
    config = SWEEPS[algorithm]()
    points = [proposal.point for proposal in run(config, concurrency=1, seed=0)]
    assert point_searcher(config).preview(3) == points[:3]


def test_a_searcher_is_imported_on_first_use() -> None:
    program = (
        "import sys, sweeps.search.searchers as s; from sweeps.config import load\n"
        "s.point_searcher(load('quickstart', ['algorithm.name=random'])).preview(2)\n"
        "assert 'sweeps.search.searchers.tpe' not in sys.modules and 'optuna' not in sys.modules\n"
        "s.point_searcher(load('quickstart', ['algorithm.name=tpe'])).preview(2)\n"
        "assert 'sweeps.search.searchers.tpe' in sys.modules and 'optuna' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@given(seed=st.integers(0, 2**32), index=st.integers(0, 2**16))
def test_random_points_have_the_types_and_bounds_of_their_ranges(seed: int, index: int) -> None:
    point = random_point({path: parse_range(written) for path, written in SEARCH.items()}, seed, index)
    assert {path: type(value) for path, value in point.items()} == {
        "model.hidden_size": int,
        "model.weight_l1": float,
        "model.noise.level": float,
        "training.epochs": int,
        "model.activation": str,
    }
    assert 8 <= point["model.hidden_size"] <= 64
    assert 1e-5 <= point["model.weight_l1"] <= 1e-1


def test_random_points_are_spread_evenly_over_the_logarithm() -> None:
    search = {"a": parse_range({"loguniform": [1e-4, 1.0]}), "b": parse_range({"logint": [1, 4]})}
    points = [random_point(search, 0, index) for index in range(4000)]
    decades = [sum(10.0**low <= point["a"] < 10.0 ** (low + 1) for point in points) for low in range(-4, 0)]
    assert all(900 < count < 1100 for count in decades)  # 1,000 expected, standard deviation 27
    # Of b, k stands for what lies between k - 1/2 and k + 1/2: log(1.5 / 0.5) / log(4.5 / 0.5) = 1/2 of all are 1.
    assert 1850 < sum(point["b"] == 1 for point in points) < 2150
    assert {point["b"] for point in points} == {1, 2, 3, 4}


def test_tpe_waits_for_the_whole_batch_before_it_proposes_the_next() -> None:
    searcher = point_searcher(sweep("tpe"))
    assert [proposal.index for proposal in searcher.ask(10)] == [0, 1, 2]
    searcher.tell(2, [0.1])
    searcher.tell(0, None)
    assert searcher.ask(1) == []
    searcher.tell(1, [0.3])
    assert [proposal.index for proposal in searcher.ask(10)] == [3, 4, 5]


def test_tpe_comes_closer_to_the_best_point_than_random() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 1.0]}, "model.weight_l1": {"uniform": [0.0, 1.0]}}

    def mean_of_the_last(algorithm: str, seed: int) -> float:
        searcher = point_searcher(sweep(algorithm, n_trials=40, seed=seed, search=search))
        losses = []
        while not searcher.is_exhausted:
            for proposal in searcher.ask(4):
                loss = sum((value - 0.8) ** 2 for value in proposal.point.values())
                searcher.tell(proposal.index, [loss])
                losses.append(loss)
        return sum(losses[-15:]) / 15

    seeds = range(3)
    assert sum(mean_of_the_last("tpe", seed) for seed in seeds) < 0.5 * sum(
        mean_of_the_last("random", seed) for seed in seeds
    )


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats() | st.none(), min_size=6, max_size=6))
def test_tpe_accepts_whatever_a_training_returns(values: list[float | None]) -> None:
    searcher = point_searcher(sweep("tpe", n_trials=8))
    for value in values:
        (proposal,) = searcher.ask(1)
        searcher.tell(proposal.index, None if value is None else [value])
    assert len(searcher.ask(3)) == 2


def test_tpe_learns_from_a_recorded_point_that_it_would_not_propose_now() -> None:
    config = sweep("tpe", model={"name": "deep"}, search=LISTS)
    recorded = {index: Ended({"model.hidden_sizes": [7], "model.code_size": 3}, [float(index)]) for index in range(5)}
    assert [proposal.index for proposal in run(config, concurrency=2, seed=0, ended=recorded)] == list(range(5, 12))


class TestTuneSearcher:
    def test_it_suggests_a_pack_of_one_point(self) -> None:
        suggestion = TuneSearcher(load("quickstart"), 2).suggest("t0")
        (entry,) = suggestion["points"]
        assert (entry["id"], entry["index"]) == ("0000", 0)
        assert list(entry["point"]) == list(load("quickstart").search)

    def test_it_has_no_more_packs_running_than_the_concurrency(self) -> None:
        searcher = TuneSearcher(sweep("random", n_trials=3), 2)
        assert searcher.suggest("a") is not None
        assert searcher.suggest("b") is not None
        assert searcher.suggest("c") is None
        searcher.on_trial_complete("a", {"objectives": {"0000": 0.1}})
        assert searcher.suggest("c")["points"][0]["index"] == 2

    def test_it_finishes_when_every_point_has_been_proposed(self) -> None:
        searcher = TuneSearcher(sweep("random", n_trials=1), 2)
        assert searcher.suggest("a") != TuneSearcher.FINISHED
        assert searcher.suggest("b") == TuneSearcher.FINISHED

    @pytest.mark.parametrize(
        "ending",
        [
            {"error": True},
            {"error": True, "result": {"objectives": {"0000": 0.1}}},
            {"result": None},
            {"result": {}},
            {"result": {"objectives": {"0000": math.nan}}},
            {"result": {"objectives": {"0000": 0.5, "0001": 0.5, "0002": 0.5}}},
        ],
    )
    def test_the_next_batch_starts_however_a_trial_ends(self, ending: dict[str, Any]) -> None:
        searcher = TuneSearcher(sweep("tpe"), 8)
        for trial in "abc":
            assert searcher.suggest(trial) is not None
        assert searcher.suggest("d") is None
        for trial in "abc":
            searcher.on_trial_complete(trial, **ending)
        searcher.on_trial_complete("a", **ending)
        assert searcher.suggest("d")["points"][0]["index"] == 3

    def test_it_suggests_packs_that_share_the_points_among_the_workers(self) -> None:
        searcher = TuneSearcher(sweep("random", n_trials=7, search=ALIKE), 2, largest_pack=8)
        suggested = [searcher.suggest(trial) for trial in "ab"]
        assert [[entry["index"] for entry in pack["points"]] for pack in suggested] == [[0, 1, 2], [3, 4, 5, 6]]
        assert searcher.suggest("c") is None
        searcher.on_trial_complete("a", {"objectives": {}})
        assert searcher.suggest("c") == TuneSearcher.FINISHED

    def test_the_next_batch_starts_when_all_points_of_a_pack_have_ended(self) -> None:
        searcher = TuneSearcher(sweep("tpe", search=ALIKE), 1, largest_pack=8)
        first = searcher.suggest("a")["points"]
        assert [entry["index"] for entry in first] == [0, 1, 2]
        ended = [{"event": "end", "point_id": "0001"}, {"event": "epoch", "point_id": "0000"}]
        searcher.on_trial_result("a", {"events": ended, "objectives": {"0001": 0.5}})
        searcher.on_trial_complete("a", error=True)
        assert [entry["index"] for entry in searcher.suggest("b")["points"]] == [3, 4, 5]

    def test_points_of_a_lost_pack_that_had_ended_keep_their_values(self) -> None:
        alike, lost = (TuneSearcher(sweep("tpe", search=ALIKE), 1, largest_pack=8) for _ in range(2))
        values = {"0000": 0.1, "0001": 0.5, "0002": 0.9}
        for searcher in (alike, lost):
            searcher.suggest("a")
            events = [{"event": "end", "point_id": name} for name in values]
            searcher.on_trial_result("a", {"events": events, "objectives": values})
        alike.on_trial_complete("a", {"objectives": values})
        lost.on_trial_complete("a", error=True)
        assert lost.suggest("b") == alike.suggest("b")

    def test_it_saves_nothing_because_the_journal_has_it_all(self, tmp_path: Any) -> None:
        TuneSearcher(sweep("random"), 2).save_to_dir(str(tmp_path))
        assert not list(tmp_path.iterdir())

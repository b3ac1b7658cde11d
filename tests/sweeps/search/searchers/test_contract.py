"""What every searcher does."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import pytest
from searches import LISTS, SEARCH, result_of, run, sweep

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.config.searchers import SearcherConfig
from sweeps.search.packing import decide_packing
from sweeps.search.searchers import Ended, Proposal, point_searcher
from sweeps.search.searchers.independent import IndependentSearcher

GRID = {"model.hidden_size": {"grid": [8, 16]}, "training.seed": {"grid": [0, 1, 2]}}
SEEDS = {"model.hidden_size": {"choice": [8, 16]}, "training.seed": {"int": [0, 9]}}
POINTS = [{"model.hidden_size": 16, "training.seed": 5}, {"training.seed": 1, "model.hidden_size": 8}]
POINTS += [{"model.hidden_size": 8, "training.seed": 0}]
SWEEPS = {
    "random": lambda: sweep("random"),
    "grid": lambda: sweep("grid", search=GRID),
    "points": lambda: SweepConfig.from_dict(
        sweep("random", search=SEEDS).to_dict() | {"algorithm": {"name": "points", "points": POINTS}}
    ),
    "tpe": lambda: sweep("tpe"),
    "tpe over lists": lambda: sweep("tpe", model={"name": "deep"}, search=LISTS),
    "tpe for a front": lambda: sweep("tpe", objective=[{"metric": "valid/mse"}, {"metric": "valid/r2"}]),
}
every_algorithm = pytest.mark.parametrize("make", SWEEPS.values(), ids=SWEEPS.keys())


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


class HalvesConfig(SearcherConfig):
    """The section of a searcher that ships with nobody: all a new one needs, beside its code."""

    searcher: ClassVar[str] = f"{__name__}:halves"

    name: Literal["halves"] = "halves"


def halves(config: SweepConfig, ended: Mapping[int, Ended], unfinished: Mapping[int, Point]) -> IndependentSearcher:
    """Propose noise levels 1/2, 1/4, 1/8, ..."""
    return IndependentSearcher(config, ended, unfinished, lambda index: {"model.noise.level": 0.5 ** (index + 1)})


def test_a_new_searcher_needs_a_section_and_its_code_only() -> None:
    config = sweep("random", n_trials=3, search={"model.noise.level": {"uniform": [0.0, 1.0]}})
    config = config.model_copy(update={"algorithm": HalvesConfig()})
    assert config.algorithm.issues(config.search, config.budget) == []
    assert [proposal.point["model.noise.level"] for proposal in point_searcher(config).ask(9)] == [0.5, 0.25, 0.125]
    assert decide_packing(config).is_packed

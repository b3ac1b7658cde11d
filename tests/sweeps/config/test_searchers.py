"""The `algorithm` section: the searcher that it names, and how many points that proposes."""

import json
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_args

import pytest

from sweeps.config import SweepConfig, json_schema, load
from sweeps.config.searchers import AlgorithmConfig, GridConfig, PointsConfig, RandomConfig, SearcherConfig, TpeConfig

MakeSweep = Callable[..., SweepConfig]
KINDS: list[type[SearcherConfig]] = [get_args(kind)[0] for kind in get_args(get_args(AlgorithmConfig)[0])]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ({}, RandomConfig),
        ({"seed": 3}, RandomConfig),
        ({"name": "random", "batch_size": 2}, RandomConfig),
        ({"name": "grid", "seed": 3, "batch_size": 2}, GridConfig),
        ({"name": "tpe", "seed": 3, "batch_size": 2}, TpeConfig),
        ({"name": "points", "points": [{}]}, PointsConfig),
    ],
)
def test_the_section_is_that_of_its_name_and_random_without_one(
    small_sweep: MakeSweep, written: dict[str, Any], kind: type[SearcherConfig]
) -> None:
    sweep = small_sweep(algorithm=written)
    assert type(sweep.algorithm) is kind
    assert sweep.to_dict()["algorithm"] == written
    assert SweepConfig.restore(json.loads(json.dumps(sweep.to_dict()))) == sweep


@pytest.mark.parametrize("kind", KINDS)
def test_every_section_names_a_searcher_that_can_be_imported(kind: type[SearcherConfig]) -> None:
    assert callable(resolve_name(kind.searcher))


@pytest.mark.parametrize("name", ["tpee", 3, None, ["tpe"], {"tpe": 1}, ""])
def test_an_unknown_name_is_one_issue(issues: Callable[..., list[str]], sweep_file: Path, name: Any) -> None:
    (issue,) = issues(sweep_file, f"algorithm.name={json.dumps(name)}")
    assert issue.startswith(f"algorithm.name must be 'random', 'grid', 'tpe' or 'points', not {json.dumps(name)}")
    assert issue.endswith("Did you mean tpe?") == (name == "tpee")


def test_other_sections_are_checked_beside_an_unknown_name(issues: Callable[..., list[str]], sweep_file: Path) -> None:
    found = issues(sweep_file, "algorithm={name: tpee, batch_size: 2}", "promotion.compare=denoise_mse")
    assert len(found) == 2
    assert any("promotion.compare" in issue for issue in found)


def test_a_grid_without_a_budget_takes_every_combination(sweep_file: Path) -> None:
    grid = "search={model.hidden_size: {grid: [8, 16, 32]}, training.seed: {grid: [0, 1]}}"
    assert load(sweep_file, [grid, "algorithm.name=grid", "budget.trials=null"]).n_trials == 6
    assert load(sweep_file, [grid, "algorithm.name=grid", "budget.trials=4"]).n_trials == 4


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_search_space_every_searcher_proposes_one_point(
    small_sweep: MakeSweep, kind: type[SearcherConfig]
) -> None:
    (name,) = get_args(kind.model_fields["name"].annotation)
    points = {"points": [{}, {}]} if kind is PointsConfig else {}
    assert small_sweep(algorithm={"name": name, **points}, budget={"trials": 7}).n_trials == 1


@pytest.mark.parametrize(
    ("point", "issue"),
    [
        ({"model.hidden_size": 8}, "must have a value for model.noise.level, which is searched"),
        (
            {"model.hidden_size": 9, "model.noise.level": 0.1},
            "must have a model.hidden_size within {'choice': [8, 16]}",
        ),
        ({"model.hidden_size": 8.0, "model.noise.level": 0.1}, "must have a model.hidden_size within"),
        ({"model.hidden_size": True, "model.noise.level": 0.1}, "must have a model.hidden_size within"),
        ({"model.hidden_size": 8, "model.noise.level": 0.6}, "must have a model.noise.level within"),
        ({"model.hidden_size": 8, "model.noise.level": "0.1"}, "must have a model.noise.level within"),
        ({"model.hidden_size": 8, "model.noise.level": 0.1, "training.seed": 1}, "must not set training.seed"),
    ],
)
def test_listed_points_lie_in_the_search_space(
    issues: Callable[..., list[str]], sweep_file: Path, point: dict[str, Any], issue: str
) -> None:
    fitting = {"model.hidden_size": 8, "model.noise.level": 0}
    search = "search={model.hidden_size: {choice: [8, 16]}, model.noise.level: {uniform: [0.0, 0.5]}}"
    found = issues(sweep_file, search, f"algorithm={json.dumps({'name': 'points', 'points': [fitting, point]})}")
    assert [line.startswith(f"algorithm.points.1 {issue}") for line in found] == [True]


def test_all_listed_points_are_trained_unless_the_budget_has_fewer(sweep_file: Path) -> None:
    search = "search={model.hidden_size: {choice: [8, 16]}}"
    points = "algorithm={name: points, points: [{model.hidden_size: 16}, {model.hidden_size: 8}]}"
    assert load(sweep_file, [search, points, "budget.trials=null"]).n_trials == 2
    assert load(sweep_file, [search, points, "budget.trials=1"]).n_trials == 1


def test_in_the_json_schema_only_the_default_may_leave_its_name_out() -> None:
    definitions = json_schema()["$defs"]
    required = {kind.__name__: definitions[kind.__name__].get("required", []) for kind in KINDS}
    assert required == {
        "RandomConfig": [],
        "GridConfig": ["name"],
        "TpeConfig": ["name"],
        "PointsConfig": ["name", "points"],
    }

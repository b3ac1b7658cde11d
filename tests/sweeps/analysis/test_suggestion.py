"""The suggested sweep: what was planted is narrowed, widened, dropped or kept, and its file is always valid."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_sweeps import PlantedTrial, draw_points, planted_config, record

from sweeps.analysis.leaders import chance_of_at_least, chance_of_span
from sweeps.analysis.suggestion import SettingAdvice, Suggestion, suggest_next
from sweeps.config import load
from sweeps.tracking.sweep_result import SweepResult

SEARCH = {
    "model.noise.level": {"uniform": [0.0, 0.5]},
    "model.weight_l1": {"loguniform": [1e-6, 1e-2]},
    "model.hidden_l1": {"loguniform": [1e-6, 1e-2]},
    "model.hidden_size": {"choice": [16, 32, 64]},
    "training.epochs": {"int": [5, 40]},
}
BOUNDED: dict[str, dict[str, list[Any]]] = {
    "model.noise.level": {"uniform": [0.0, 1.0]},
    "model.hidden_size": {"logint": [1, 64]},
    "model.weight_l1": {"uniform": [0.0, 0.1]},
    "training.epochs": {"int": [1, 3]},
    "training.learning_rate": {"loguniform": [1e-4, 1.0]},
    "model.activation": {"choice": ["relu", "elu", "sigmoid"]},
    "model.hidden_l1": {"choice": [0.0, 0.001, 0.01]},
}


def planted(n_trials: int = 60) -> SweepResult:
    """The best weight_l1 is at its low edge, the best noise level is 0.2, larger networks win; the rest do nothing."""
    trials = []
    for point in draw_points(SEARCH, n_trials):
        penalty = (math.log10(point["model.weight_l1"]) + 6) / 4
        noise = (point["model.noise.level"] / 0.5 - 0.4) ** 2
        size = 0.6 * (2 - math.log2(point["model.hidden_size"] / 16))
        trials.append(PlantedTrial(point, [{"valid/mse": 1 + penalty + 4 * noise + size}]))
    return record(planted_config(SEARCH, n_trials), trials)


@pytest.fixture
def suggestion() -> Suggestion:
    return suggest_next(planted())


def advice(suggestion: Suggestion, path: str) -> SettingAdvice:
    return next(setting for setting in suggestion.settings if setting.path == path)


def test_a_range_whose_best_trials_lie_at_its_edge_is_widened() -> None:
    search = {"model.weight_l1": {"loguniform": [1e-6, 1e-2]}, "model.noise.level": {"uniform": [0.0, 0.5]}}
    trials = [PlantedTrial(p, [{"valid/mse": math.log10(p["model.weight_l1"]) + 7}]) for p in draw_points(search, 40)]
    given = advice(suggest_next(record(planted_config(search, 40), trials)), "model.weight_l1")
    assert given.action == "widen"
    assert given.after == {"loguniform": [1e-8, 1e-2]}  # half of four decades further
    assert "smallest values" in given.reason


def test_choices_whose_best_is_the_largest_get_a_larger_one(suggestion: Suggestion) -> None:
    given = advice(suggestion, "model.hidden_size")
    assert (given.action, given.after) == ("widen", {"choice": [16, 32, 64, 128]})


def test_settings_without_effect_are_dropped_at_the_best_value(suggestion: Suggestion) -> None:
    best = planted().ranking[0]
    for path in ("model.hidden_l1", "training.epochs"):
        given = advice(suggestion, path)
        assert (given.action, given.after) == ("drop", best.point[path])


def test_a_range_is_narrowed_around_the_leading_trials(suggestion: Suggestion) -> None:
    given = advice(suggestion, "model.noise.level")
    assert given.action == "narrow"
    low, high = given.after["uniform"]
    assert 0.0 <= low < 0.2 < high <= 0.5
    leading = [trial.point["model.noise.level"] for trial in planted().ranking[:10]]
    assert low <= min(leading)
    assert max(leading) <= high


def test_file_is_the_sweep_with_the_new_search(suggestion: Suggestion, tmp_path: Path) -> None:
    path = tmp_path / "next.yaml"
    path.write_text(suggestion.yaml or "")
    config, before = load(path), planted().config
    assert config.name == "planted-next"
    assert config.experiment == "planted"
    assert set(config.search) == {given.path for given in suggestion.settings if given.action != "drop"}
    assert config.to_dict()["search"] == {
        given.path: given.after for given in suggestion.settings if given.action != "drop"
    }
    assert config.trial.to_dict()["training"]["epochs"] == advice(suggestion, "training.epochs").after
    assert config.algorithm.seed != before.algorithm.seed  # else kept ranges would be drawn at the same points
    assert (config.objectives, config.n_trials) == (before.objectives, before.n_trials)


def test_too_few_trials_suggest_nothing() -> None:
    suggestion = suggest_next(planted(8))
    assert suggestion.yaml is None
    assert suggestion.why_none == "No importance is reported: 8 ranked trials are too few: at least 10 are needed."


def test_a_range_that_cannot_go_further_says_so() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}, "model.weight_l1": {"loguniform": [1e-6, 1e-2]}}
    trials = [PlantedTrial(p, [{"valid/mse": p["model.noise.level"]}]) for p in draw_points(search, 16)]
    given = advice(suggest_next(record(planted_config(search), trials)), "model.noise.level")
    assert given.action in ("narrow", "keep")
    assert given.after["uniform"][0] == 0.0


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n_trials=st.integers(10, 40),
    paths=st.sets(st.sampled_from(sorted(BOUNDED)), min_size=1),
)
def test_suggested_file_is_always_valid(seed: int, n_trials: int, paths: set[str]) -> None:
    search = {path: BOUNDED[path] for path in sorted(paths)}
    generator = np.random.default_rng(seed)
    points = draw_points(search, n_trials, seed)
    slopes = {path: generator.normal() for path in search}
    trials = [
        PlantedTrial(
            point,
            [
                {
                    "valid/mse": sum(slopes[p] * v for p, v in point.items() if not isinstance(v, str))
                    + generator.normal()
                }
            ],
        )
        for point in points
    ]
    suggestion = suggest_next(record(planted_config(search, n_trials), trials))
    if suggestion.yaml is None:
        assert suggestion.why_none
        return
    config = load_text(suggestion.yaml)
    for setting in suggestion.settings:
        if setting.action == "keep":
            assert setting.after == setting.before
        if setting.action == "narrow":
            ((kind, before),), ((_, after),) = setting.before.items(), setting.after.items()
            inside = set(after) <= set(before) if kind == "choice" else before[0] <= after[0] and after[1] <= before[1]
            assert inside
    assert config.search


def load_text(text: str) -> Any:
    from sweeps.config import SweepConfig
    from sweeps.config.plain_yaml import parse_yaml

    return SweepConfig.from_dict(parse_yaml(text, "suggested"))


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"objective": [{"metric": "valid/mse"}, {"metric": "valid/code_sparsity"}]}, "several objectives"),
        ({"algorithm": {"name": "tpe"}}, "tpe proposes most points where results were good"),
    ],
)
def test_nothing_is_suggested_where_the_place_of_the_leaders_says_nothing(sections: dict[str, Any], why: str) -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}, "model.weight_l1": {"loguniform": [1e-6, 1e-2]}}
    trials = [
        PlantedTrial(p, [{"valid/mse": p["model.noise.level"], "valid/code_sparsity": p["model.noise.level"]}])
        for p in draw_points(search, 20)
    ]
    suggestion = suggest_next(record(planted_config(search, 20, **sections), trials))
    assert (suggestion.settings, suggestion.yaml) == ((), None)
    assert why in (suggestion.why_none or "")


def test_a_seed_is_chance_and_no_setting_to_change() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}, "training.seed": {"int": [0, 100]}}
    trials = [PlantedTrial(p, [{"valid/mse": 1.0 - p["training.seed"] / 100}]) for p in draw_points(search, 40)]
    suggestion = suggest_next(record(planted_config(search, 40), trials))
    assert advice(suggestion, "training.seed").action == "keep"


def test_chances_are_those_of_a_simulation() -> None:
    drawn = np.random.default_rng(0).random((100_000, 5))
    assert chance_of_span(0.4, 5) == pytest.approx(np.mean(np.ptp(drawn, axis=1) <= 0.4), abs=0.005)
    assert chance_of_at_least(2, 5, 0.15) == pytest.approx(np.mean((drawn < 0.15).sum(axis=1) >= 2), abs=0.005)

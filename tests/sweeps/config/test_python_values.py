"""A sweep written in Python: the same checks as for a file, and the values that a Python user writes."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.config import (
    BudgetConfig,
    Choices,
    DigitsConfig,
    NoiseConfig,
    ObjectiveConfig,
    ShallowConfig,
    SweepConfig,
    TrainingConfig,
    load,
    recipe_names,
    sweep,
)
from sweeps.config.plain_yaml import parse_yaml, write_yaml
from sweeps.config.python_values import plain_document
from sweeps.errors import ConfigError

PLAIN: dict[str, Any] = {
    "name": "sizes",
    "data": {"name": "digits"},
    "model": {"name": "shallow", "hidden_size": 8},
    "search": {"model.noise.level": {"choice": [0.0, 0.5]}},
    "objective": {"metric": "valid/mse"},
    "budget": {"trials": 4},
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "1e5",
        "1e-5",
        "yes",
        "null",
        "~",
        "<<",
        "=",
        "0x1f",
        "1_000",
        "2026-01-01",
        "12:30",
        "\x85",
        "\u2028a",
        "\ufeff",
        "\r\n",
        "#x",
        "- a",
        "a: b",
        " ",
        "\t",
    ]
)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def issues_of(make: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        make()
    assert all(issue and "\n" not in issue for issue in refusal.value.issues)
    return list(refusal.value.issues)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_written_in_python_is_the_same_sweep(name: str) -> None:
    loaded = load(name)
    written = SweepConfig(**loaded.to_dict())
    assert written == loaded
    assert written.to_dict() == loaded.to_dict()


@pytest.mark.parametrize("name", recipe_names())
def test_to_yaml_writes_a_file_that_loads_as_the_same_sweep(name: str, tmp_path: Path) -> None:
    loaded = load(name)
    path = tmp_path / "again.yaml"
    path.write_text(loaded.to_yaml(), encoding="utf-8")
    assert load(path) == loaded


@settings(max_examples=200, deadline=None)
@given(value=PLAIN_VALUES)
def test_plain_values_written_as_yaml_are_read_as_the_same_values(value: Any) -> None:
    assert parse_yaml(write_yaml(value), "a value") == value


@settings(max_examples=50, deadline=None)
@given(
    description=TEXTS,
    rate=st.floats(1e-6, 1.0),
    size=st.integers(1, 100_000),
    levels=st.sets(st.floats(0, 1), min_size=1),
)
def test_a_sweep_of_any_text_and_numbers_round_trips(
    description: str, rate: float, size: int, levels: set[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = {
        "description": description,
        "model": {"name": "shallow", "hidden_size": size},
        "training": {"learning_rate": rate},
        "search": {"model.noise.level": {"choice": sorted({abs(level) for level in levels})}},
    }
    config = SweepConfig(**(PLAIN | changed))
    path = tmp_path_factory.mktemp("round") / "sweep.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert load(path) == config


def test_sections_may_be_classes_tuples_ranges_and_numpy_values() -> None:
    expected = SweepConfig.from_dict(PLAIN)
    written = SweepConfig(
        name=np.str_("sizes"),
        data=DigitsConfig(),
        model=ShallowConfig(hidden_size=8),
        search={"model.noise.level": Choices("choice", (0.0, 0.5))},
        objective=ObjectiveConfig(metric="valid/mse"),
        budget=BudgetConfig(trials=4),
    )
    assert written == expected
    assert written.to_dict() == expected.to_dict()
    levels = {"model.noise.level": {"choice": np.array([0.0, 0.5])}}
    assert SweepConfig(**(PLAIN | {"search": levels, "budget": {"trials": np.int64(4)}})) == expected
    sizes = {"model.hidden_size": {"choice": range(8, 11)}}
    searched = SweepConfig(**(PLAIN | {"search": sizes})).search["model.hidden_size"]
    assert searched == Choices("choice", (8, 9, 10))
    tied = SweepConfig(**(PLAIN | {"model": {"name": "shallow", "tied_weights": np.bool_(True)}}))
    assert isinstance(tied.model, ShallowConfig)
    assert tied.model.tied_weights is True
    noisy = ShallowConfig(hidden_size=8, noise=NoiseConfig(level=0.2))
    assert SweepConfig(**(PLAIN | {"model": noisy})).model == noisy


def test_paths_become_absolute_text_as_those_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = SweepConfig(**(PLAIN | {"data": {"name": "array", "path": Path("images.npy")}}))
    assert config.to_dict()["data"] == {"name": "array", "path": str(tmp_path / "images.npy")}


@pytest.mark.parametrize(
    ("changed", "issue"),
    [
        ({"bugdet": {"trials": 4}}, "bugdet is not a setting. Did you mean budget?"),
        ({"model": {"name": "shalow"}}, "Did you mean shallow?"),
        ({"search": {"model.hidden_sise": {"choice": [1, 2]}}}, "Did you mean model.hidden_size?"),
        ({"budget": {"trials": "4"}}, 'budget.trials must be a whole number, not "4"'),
        ({"training": TrainingConfig(epochs=5, patience=9)}, "training.patience must be below training.epochs (5)"),
        ({"search": {"model.hidden_size": {"int": [0, 4]}}}, "search reaches model.hidden_size = 0"),
        ({"objective": {"metric": "valid/classification_error"}}, "objective"),
        ({"search": {"model.noise.level": {"choice": {0.5}}}}, "must be a list, not the set"),
        (
            {"search": {"model.noise.level": {"choice": [object()]}}},
            "search.model.noise.level.choice.0 must be text, a nu",
        ),
        ({"search": {3: {"choice": [1]}}}, "search must have names as keys, not 3"),
        ({"model": {"name": "shallow", "hidden_size": np.array([8.5, object()])}}, "model.hidden_size must be text, a"),
        ({"description": b"text"}, "description must be text, a number"),
    ],
)
def test_all_checks_of_a_file_apply_with_one_line_for_each_issue(changed: dict[Any, Any], issue: str) -> None:
    found = issues_of(lambda: SweepConfig(**(PLAIN | changed)))
    assert any(issue in line for line in found), found


def test_all_issues_are_reported_at_once() -> None:
    found = issues_of(lambda: SweepConfig(name="a b", data={"name": "digits"}, model={"name": "shallow", "size": 3}))
    assert [line.split()[0] for line in found] == ["name", "model.size", "objective"]
    assert issues_of(SweepConfig)[0] == "name must be given"


def test_a_value_that_contains_itself_is_refused() -> None:
    levels: list[Any] = [0.1]
    levels.append(levels)
    issue, *_ = issues_of(lambda: SweepConfig(**(PLAIN | {"search": {"model.noise.level": {"choice": levels}}})))
    assert "is nested too deeply" in issue
    levels.append(levels)  # twice: it would expand to 2 ** 50 values
    (issue,) = issues_of(lambda: SweepConfig(**(PLAIN | {"search": {"model.noise.level": {"choice": levels}}})))
    assert "at most 100,000 values" in issue


def test_a_sweep_is_checked_once_however_it_is_made() -> None:
    config = SweepConfig(**PLAIN)
    with patch.object(sweep, "_issues", wraps=sweep._issues) as checks:
        SweepConfig(**PLAIN)
        assert checks.call_count == 1
        SweepConfig.from_dict(PLAIN)
        assert checks.call_count == 2
        SweepConfig.restore(PLAIN)
        assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config  # noqa: S301 (our own)
        config.model_copy(update={"description": "other"})
        assert checks.call_count == 2


@settings(max_examples=100, deadline=None)
@given(value=PLAIN_VALUES)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    assert plain_document({"key": value}) == {"key": value}


@pytest.mark.parametrize("typed", [["budget.trials=2", "search.model.hidden_size=null", "model.hidden_size=8"]])
def test_overrides_are_typed_lines_or_a_dict(typed: list[str]) -> None:
    given_as_dict = {"budget.trials": np.int64(2), "search.model.hidden_size": None, "model.hidden_size": 8}
    assert load("quickstart", given_as_dict) == load("quickstart", typed)
    assert load("quickstart", given_as_dict).n_trials == 2


@pytest.mark.parametrize(
    ("overrides", "issue"),
    [
        ({"budget.trils": 2}, "budget.trils is not a setting. Did you mean budget.trials?"),
        ({"": 2}, "overrides[\"\"] must have a dotted path as its key, such as 'budget.trials'"),
        ({"budget..trials": 2}, "must have a dotted path as its key"),
        ({3: 2}, "overrides[3] must have a dotted path as its key"),
        ({"budget.trials": object()}, 'overrides["budget.trials"] must be text, a number'),
        ({"name.first": 3}, 'overrides["name.first"]: name is the value "quickstart"'),
        (
            {"model.hidden_size": 8},
            'searches model.hidden_size; to fix it, override "search.model.hidden_size" with None',
        ),
    ],
)
def test_a_wrong_override_in_a_dict_is_named_as_it_was_written(overrides: dict[Any, Any], issue: str) -> None:
    assert any(issue in line for line in issues_of(lambda: load("quickstart", overrides)))

"""What each setting means, from the sections themselves."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sweeps.config import SweepConfig, json_schema, load
from sweeps.config.dotted_paths import settings, with_values
from sweeps.config.explain import explain, explain_sections
from sweeps.errors import ConfigError

PATHS = list(dict.fromkeys(settings(SweepConfig)))
# What a data set needs beside its name.
REQUIRED = {"array": {"path": "samples.npy"}, "table": {"path": "samples.csv"}, "rows": {"rows": [[0.0], [1.0]]}}


def properties(schema: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every property of the schema and of the sections that it defines, with its path."""
    for name, part in schema.get("properties", {}).items():
        yield f"{where}.{name}", part
    for name, part in schema.get("$defs", {}).items():
        yield from properties(part, name)


def complete(example: dict[str, Any]) -> dict[str, Any]:
    """The example with what else a sweep file must have."""
    document: dict[str, Any] = {"name": "small"} | example
    required = {"data": {"name": "digits"}, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}}
    for section, values in required.items():
        document[section] = values | document.get(section, {})
    document["data"] = REQUIRED.get(document["data"]["name"], {}) | document["data"]
    return document


def test_every_setting_has_a_description() -> None:
    found = dict(properties(json_schema(), "sweep"))
    assert len(found) > 60
    assert [path for path, schema in found.items() if not schema.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("path", PATHS)
def test_every_setting_is_explained_with_a_valid_example(path: str) -> None:
    explanation = explain(path)
    assert explanation.meanings
    for meaning in explanation.meanings:
        assert meaning.path == path
        assert meaning.description
        assert meaning.type
        example = yaml.safe_load(f"{{{meaning.in_file()}}}")
        SweepConfig.restore(complete(example))


def test_an_example_on_the_command_line_is_taken_by_a_recipe() -> None:
    (momentum,) = explain("training.momentum").meanings
    options = shlex.split(momentum.on_command_line())
    assert load("quickstart", [option for option in options if option != "--set"]).training.optimizer == "sgd"


def test_a_setting_of_some_kinds_names_them() -> None:
    (size,) = explain("model.hidden_size").meanings
    assert size.kinds == ("shallow",)
    assert (size.type, size.range, size.default, size.required) == (
        "whole number",
        "above 0 and at most 100,000",
        64,
        False,
    )
    assert yaml.safe_load(size.in_file())["model"]["name"] == "shallow"


def test_kinds_that_agree_share_one_meaning_and_others_have_their_own() -> None:
    meanings = {meaning.kinds[0]: meaning for meaning in explain("model.loss").meanings}
    linear, shallow, stack = (meanings[kind] for kind in ("linear", "shallow", "stacked_denoising"))
    assert (linear.kinds, linear.type) == (("linear",), "always mse")
    assert (shallow.kinds, shallow.default) == (("shallow", "deep"), "mse")
    assert (stack.kinds, stack.default) == (("stacked_denoising",), "bce")
    (seed,) = explain("data.seed").meanings
    assert seed.kinds == ()


def test_a_section_lists_its_kinds_and_its_settings() -> None:
    stopping = explain("stopping")
    assert list(stopping.kinds) == ["none", "asha"]
    assert [setting.path for setting in stopping.settings] == [
        "stopping.name",
        "stopping.grace_epochs",
        "stopping.reduction_factor",
    ]
    (name,) = explain("stopping.name").meanings
    assert (name.type, name.default, name.example) == ("one of none, asha", "none", "asha")


def test_the_sections_are_those_of_a_sweep_file() -> None:
    sections = explain_sections()
    assert [section.path for section in sections] == list(SweepConfig.model_fields)
    assert [section.path for section in sections if section.required] == ["name", "data", "model", "objective"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("model.nois", "Did you mean model.noise?"),
        ("hidden_size", "Did you mean model.hidden_size?"),
        ("training.", ""),
    ],
)
def test_an_unknown_path_has_the_hint_of_a_config_error(path: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="is not a setting") as refusal:
        explain(path)
    assert hint in str(refusal.value)


def test_bounds_are_those_that_the_sections_check() -> None:
    (momentum,) = explain("training.momentum").meanings
    assert momentum.range == "at least 0 and below 1"
    base = {"name": "s", "data": {"name": "digits"}, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}}
    sgd = {"training.optimizer": "sgd"}
    SweepConfig.restore(with_values(base, sgd | {"training.momentum": 0.0}))
    with pytest.raises(ConfigError, match="must be below 1"):
        SweepConfig.restore(with_values(base, sgd | {"training.momentum": 1.0}))

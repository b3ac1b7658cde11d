"""What a person sees of a setting of a sweep file."""

import json

import pytest
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.errors import ConfigError

runner = CliRunner()


def shown(*arguments: str, columns: str = "80") -> str:
    done = runner.invoke(app, ["explain", *arguments], env={"COLUMNS": columns})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_setting_is_shown_with_type_range_default_and_example() -> None:
    printed = shown("training.learning_rate")
    for part in ("Step size", "number", "above 0", "0.001", "training: {learning_rate: 0.002}", "--set"):
        assert part in printed


def test_a_section_is_shown_with_a_table_of_its_settings() -> None:
    printed = shown("model.noise")
    assert "kind     masking" in printed
    assert "for model.name stacked_denoising:" in printed


def test_a_union_is_shown_with_the_names_to_choose_from() -> None:
    printed = shown("algorithm")
    assert "algorithm.name is one of:" in printed
    assert "tpe" in printed
    assert "Bergstra et al. 2011" in " ".join(printed.split())


@pytest.mark.parametrize("arguments", [[], ["model"], ["promotion.blocking"], ["search"]])
def test_nothing_is_wider_than_a_terminal(arguments: list[str]) -> None:
    assert max(len(line.rstrip()) for line in shown(*arguments).splitlines()) <= 80


def test_without_a_path_the_sections_are_listed() -> None:
    assert "objective" in shown()
    sections = json.loads(shown("--json"))["sections"]
    assert sections[0]["path"] == "name"


def test_json_has_the_meanings() -> None:
    (meaning,) = json.loads(shown("model.hidden_size", "--json"))["meanings"]
    assert (meaning["kinds"], meaning["default"], meaning["range"]) == (["shallow"], 64, "above 0 and at most 100,000")


def test_an_unknown_setting_is_refused_with_a_suggestion() -> None:
    done = runner.invoke(app, ["explain", "model.nois"])
    assert isinstance(done.exception, ConfigError)
    assert "Did you mean model.noise?" in str(done.exception)

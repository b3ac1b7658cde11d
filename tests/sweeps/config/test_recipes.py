import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.config import load, recipe_names, recipe_summaries, recipe_text
from sweeps.errors import ConfigError
from sweeps.experiments.reproduce import names

Issues = Callable[..., list[str]]


def test_the_recipes_that_the_readme_names_ship() -> None:
    assert {"quickstart", "mnist-shallow", "mnist-deep", "mnist-sda", "blobs"} <= set(recipe_names())
    assert [summary["name"] for summary in recipe_summaries()] == recipe_names()
    assert all(summary["description"] for summary in recipe_summaries())


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_begins_with_what_it_shows(recipe: str) -> None:
    header = recipe_text(recipe).partition("\nname:")[0]
    assert "What it shows" in header
    assert all(line.startswith("#") for line in header.splitlines())


@pytest.mark.parametrize("recipe", names())
def test_a_published_experiment_names_its_source_what_it_reproduces_and_what_it_expects(recipe: str) -> None:
    header = recipe_text(recipe).partition("\nname:")[0]
    assert "# Reproduces:" in header
    assert "# Expected:" in header
    unknown = "# Source:" in header and ("year are not named here" in header or "year are not known" in header)
    assert re.search(r"\b(19|20)\d\d\b", header) or unknown


def test_a_file_that_cannot_be_read_is_named(issues: Issues, tmp_path: Path) -> None:
    (missing,) = issues(tmp_path / "none.yaml")
    assert "none.yaml must be a sweep file that can be read: No such file" in missing
    (folder,) = issues(str(tmp_path))
    assert "Is a directory" in folder


def test_an_unknown_recipe_is_reported_with_the_most_similar_one(issues: Issues) -> None:
    (issue,) = issues("quikstart")
    assert issue.endswith("Did you mean quickstart?")
    with pytest.raises(ConfigError, match=r"Did you mean quickstart\?"):
        recipe_text("quikstart")


def test_a_file_without_a_suffix_is_found_by_its_path(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_file.rename(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert load("mine").name == "plain"

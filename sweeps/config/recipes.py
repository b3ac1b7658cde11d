"""Recipes: sweep files that ship with the package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sweeps.config.issues import closest, did_you_mean
from sweeps.config.python_values import plain_document
from sweeps.config.yaml_file import parse_document, read_text
from sweeps.errors import ConfigError, InputError
from sweeps.section import Section

# A recipe by its name, a sweep file by its path, or the sections of a sweep.
SweepSource: TypeAlias = str | Path | Mapping[str, Any]

RECIPES = Path(__file__).parents[1] / "recipes"


def recipe_names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_text(name: str) -> str:
    """Return the text of a recipe: a sweep file that `load` reads."""
    names = recipe_names()
    if name not in names:
        hint = did_you_mean(closest(name, names))
        raise ConfigError(f"{name!r} must be a recipe: one of {', '.join(names)}.{hint}")
    return read_text(RECIPES / f"{name}.yaml")


def recipe_summaries() -> list[dict[str, str]]:
    """Return the name and description of each recipe."""
    documents = {name: parse_document(recipe_text(name), name) for name in recipe_names()}
    return [{"name": name, "description": document.get("description", "")} for name, document in documents.items()]


def read_document(recipe_or_path: Section | SweepSource) -> dict[str, Any]:
    """Return what a recipe, a sweep file, a sweep or a dict says, as plain values; nothing but its YAML is checked."""
    if isinstance(recipe_or_path, Section):
        sections: dict[str, Any] = recipe_or_path.model_dump(mode="json", exclude_unset=True)
        return sections
    if isinstance(recipe_or_path, Mapping):
        return plain_document(recipe_or_path)
    if not isinstance(recipe_or_path, str | Path):
        kind = type(recipe_or_path).__name__
        raise InputError(f"a sweep must be the name of a recipe, a path, a SweepConfig or a dict, not {kind}")
    document = parse_document(sweep_text(recipe_or_path), str(recipe_or_path))
    document.setdefault("name", Path(recipe_or_path).stem)
    return document


def sweep_text(recipe_or_path: str | Path) -> str:
    """Return the text of a recipe or a sweep file.

    A name with a suffix or a folder is that of a file; otherwise recipes take precedence.
    """
    path = Path(recipe_or_path)
    is_name = isinstance(recipe_or_path, str) and not path.suffix and path.name == recipe_or_path
    if is_name and recipe_or_path in recipe_names():
        return recipe_text(str(recipe_or_path))
    if is_name and not path.exists():
        names = recipe_names()
        hint = did_you_mean(closest(str(recipe_or_path), names))
        raise ConfigError(
            f"{recipe_or_path} is neither a recipe nor a sweep file: recipes are {', '.join(names)}.{hint}"
        )
    return read_text(path)

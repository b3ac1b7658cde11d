"""The recipes: sweep files that ship with the package."""

from pathlib import Path

from sweeps.config.issues import closest, did_you_mean
from sweeps.config.yaml_file import read_text
from sweeps.errors import ConfigError

RECIPES = Path(__file__).parents[1] / "recipes"


def recipe_names() -> list[str]:
    """The names of all recipes, in alphabetical order."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_text(name: str) -> str:
    """A recipe as a file that `load` takes."""
    names = recipe_names()
    if name not in names:
        hint = did_you_mean(closest(name, names))
        raise ConfigError(f"{name!r} must be a recipe: one of {', '.join(names)}.{hint}")
    return read_text(RECIPES / f"{name}.yaml")


def sweep_text(recipe_or_path: str | Path) -> str:
    """The text of a recipe or of a sweep file; what has a suffix or a folder is a file, and recipes go first."""
    path = Path(recipe_or_path)
    is_name = isinstance(recipe_or_path, str) and not path.suffix and path.name == recipe_or_path
    if is_name and recipe_or_path in recipe_names():
        return recipe_text(str(recipe_or_path))
    if is_name and not path.exists():
        names = recipe_names()
        hint = did_you_mean(closest(str(recipe_or_path), names))
        raise ConfigError(
            f"{recipe_or_path} must be a recipe or a sweep file, and is neither: recipes are {', '.join(names)}.{hint}"
        )
    return read_text(path)

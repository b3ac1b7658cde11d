"""Commands for sweep files and recipes."""

import json
from typing import Annotated

import typer

from sweeps.cli import completion
from sweeps.cli.options import Json, Overrides, Recipe, print_result
from sweeps.cli.printable import echo


def recipes(as_json: Json = False) -> None:
    """List the built-in recipes."""
    from sweeps.cli.display.listing import print_recipes
    from sweeps.config import recipe_summaries

    summaries = recipe_summaries()
    print_result({"recipes": summaries}, as_json, lambda: print_recipes(summaries))


def show(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A built-in recipe.", show_default=False, autocompletion=completion.recipes
        ),
    ],
) -> None:
    """Print a recipe as a sweep file, to edit and run."""
    from sweeps.config import recipe_text

    typer.echo(recipe_text(recipe), nl=False)


def validate(
    recipe: Recipe,
    overrides: Overrides = None,
    data: Annotated[
        bool, typer.Option("--data", help="Also read the data, and check that they give every objective and gate.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a sweep file and every corner of its search space; start nothing."""
    from sweeps.config import load

    config = load(recipe, overrides or [])
    plain = {"valid": True, "name": config.name, "trials": config.n_trials, "config": config.to_dict()}
    n_trials = f"{config.n_trials} trial{'' if config.n_trials == 1 else 's'}"
    line = f"{recipe} is valid: {n_trials} of {config.n_epochs} epochs"
    if data:
        from sweeps.trial.dataset import check_data

        described = check_data(config).describe()
        plain["data"] = described
        sizes = ", ".join(f"{described[f'n_{split}']} {split}" for split in ("train", "valid", "test"))
        line += f"; its data give every objective and gate: {sizes}"
    else:
        line += " (its data were not read: --data reads and checks them)"
    print_result(plain, as_json, lambda: echo(line))


def schema() -> None:
    """Print the JSON Schema of a sweep file, for editors."""
    from sweeps.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def explain(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH]",
            help="A setting or section, e.g. model.noise; by default all sections.",
            autocompletion=completion.settings,
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="A sweep file: explain the settings of its own kinds and plug-ins only.",
            show_default=False,
            autocompletion=completion.sweep_files,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a setting of a sweep file: what it does, its type, range, default and an example."""
    from dataclasses import asdict

    from sweeps.cli.display.explanation import print_explanation, print_sections
    from sweeps.config.explain import explain as explain_path
    from sweeps.config.explain import explain_sections
    from sweeps.config.recipes import read_document

    if path is None:
        sections = explain_sections()
        print_result({"sections": [asdict(section) for section in sections]}, as_json, lambda: print_sections(sections))
        return
    explanation = explain_path(path, None if file is None else read_document(file))
    print_result(explanation.to_dict(), as_json, lambda: print_explanation(explanation))

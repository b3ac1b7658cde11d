"""The command line: what it prints, how it exits, and what it does not load."""

import json
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from sweeps.cli import app as table
from sweeps.cli.app import app
from sweeps.config import recipe_names
from sweeps.errors import ClusterError, DataError, StorageError

HEAVY = (
    "torch",
    "pytorch_lightning",
    "ray",
    "mlflow",
    "numpy",
    "sklearn",
    "matplotlib",
    "optuna",
    "pandas",
    "jinja2",
    "PIL",
)

runner = CliRunner()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def examples_of(command: str) -> list[str]:
    """The examples at the end of a command's help."""
    return [line.strip() for line in COMMANDS[command].epilog.splitlines()[1:]]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "quickstart"], ["recipes"], ["schema"], ["explain", "model"], ["--version"]]
)
def test_quick_commands_load_no_heavy_package(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["sweeps", *{arguments!r}]
from sweeps.cli.app import main
try:
    main()
except SystemExit as end:
    status = end.code
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules], status, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr.strip().splitlines()[-1] in ("loaded: [] 0", "loaded: [] None")


def test_validate_prints_one_json_object() -> None:
    done = runner.invoke(app, ["validate", "quickstart", "--json"])
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert (printed["valid"], printed["trials"]) == (True, 16)


def test_validate_counts_with_overrides() -> None:
    done = runner.invoke(app, ["validate", "quickstart", "--json", "--set", "budget.trials=3"])
    assert json.loads(done.stdout)["trials"] == 3


@pytest.mark.parametrize(("n_trials", "counted"), [(1, "1 trial of 20 epochs"), (2, "2 trials of 20 epochs")])
def test_validate_counts_trials_in_words(n_trials: int, counted: str) -> None:
    said = runner.invoke(app, ["validate", "quickstart", "--set", f"budget.trials={n_trials}"]).stdout
    assert f"quickstart is valid: {counted} (" in said


def test_validate_reads_the_data_only_if_asked() -> None:
    assert "data" not in json.loads(runner.invoke(app, ["validate", "quickstart", "--json"]).stdout)
    printed = json.loads(runner.invoke(app, ["validate", "quickstart", "--data", "--json"]).stdout)
    assert (printed["data"]["n_train"], printed["data"]["n_classes"]) == (597, 10)
    said = runner.invoke(app, ["validate", "quickstart", "--data"]).stdout
    assert "its data give every objective and gate: 597 train, 500 valid, 700 test" in said


@pytest.mark.parametrize("recipe", recipe_names())
def test_shown_recipe_is_a_file_that_validate_takes(recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(runner.invoke(app, ["show", recipe]).stdout)
    assert runner.invoke(app, ["validate", str(file)]).exit_code == 0


def test_recipes_are_listed_with_a_description_each() -> None:
    listed = json.loads(runner.invoke(app, ["recipes", "--json"]).stdout)["recipes"]
    assert [recipe["name"] for recipe in listed] == recipe_names()
    assert all(recipe["description"] for recipe in listed)


def test_schema_is_json() -> None:
    schema = json.loads(runner.invoke(app, ["schema"]).stdout)
    assert {"data", "model", "search", "objective"} <= set(schema["properties"])


def test_list_without_sweeps_says_how_to_start() -> None:
    done = runner.invoke(app, ["list"])
    assert done.exit_code == 0
    assert "sweeps run quickstart" in done.stdout


def test_issues_are_printed_as_json_too() -> None:
    command = [sys.executable, "-m", "sweeps", "validate", "quickstart", "--json", "--set", "training.epoch=3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "training.epochs" in json.loads(done.stdout)["errors"][0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("passes", "status"), [(True, 1), (False, 2)])
def test_a_store_that_does_not_answer_for_now_is_no_bad_input(
    monkeypatch: pytest.MonkeyPatch, passes: bool, status: int
) -> None:
    def away() -> None:
        raise StorageError("no answer", passes=passes)

    monkeypatch.setattr(table, "app", away)
    monkeypatch.setattr(table, "gc_tuning", Mock())  # this process continues
    with pytest.raises(SystemExit) as end:
        table.main()
    assert end.value.code == status


def submit_array(path: Path) -> Result:
    data = f"data={{name: array, path: {path}}}"
    settings = ["--set", data, "--set", "objective.metric=valid/mse"]
    return runner.invoke(app, ["submit", "quickstart", *settings, "--address", "http://127.0.0.1:9"])


def test_an_array_that_no_sweep_takes_is_refused_before_a_cluster_is_asked(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.array([{"not": "numbers"}], dtype=object), allow_pickle=True)
    done = submit_array(tmp_path / "images.npy")
    assert isinstance(done.exception, DataError)
    assert "images.npy" in str(done.exception)


def test_an_array_that_is_not_here_is_left_to_the_cluster(tmp_path: Path) -> None:
    done = submit_array(tmp_path / "images.npy")
    assert "images.npy is not on this machine" in done.stderr
    assert isinstance(done.exception, ClusterError)


def test_version_names_the_libraries_without_importing_them() -> None:
    done = runner.invoke(app, ["--version"])
    assert done.exit_code == 0
    versions = dict(line.split() for line in done.stdout.splitlines())
    assert (
        versions.items()
        >= {
            "sweeps": version("autoencoder-sweeps"),
            "python": platform.python_version(),
            "torch": version("torch"),
            "ray": version("ray"),
        }.items()
    )


def test_without_a_command_the_help_is_printed_and_the_status_is_that_of_bad_input() -> None:
    done = runner.invoke(app, [])
    assert done.exit_code == 2
    assert "Commands" in done.output


@pytest.mark.parametrize(("command", "line"), [(name, line) for name in COMMANDS for line in examples_of(name)])
def test_an_example_is_a_command_that_the_program_takes(command: str, line: str) -> None:
    assert len(line) <= 76
    program, name, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
    assert (program, name) == ("sweeps", command)
    COMMANDS[command].make_context(name, arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_its_examples_whole_in_80_columns(command: str) -> None:
    printed = runner.invoke(app, [command, "--help"], env={"COLUMNS": "80"}).stdout
    lines = [line.strip() for line in printed.splitlines()]
    assert all(line in lines for line in examples_of(command))
    assert examples_of(command)

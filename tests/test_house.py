"""The package's architecture: rooms, layers and sizes, as in README.md and the import contracts."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {"api", "cli", "cluster", "config", "experiments", "registry", "search", "storage", "tracking", "trial"} | {
    "analysis",
    "quote",
}
FUNCTION_LINES, PARAMETERS, MODULE_LINES = 50, 6, 250
# The public Python API and what a framework calls: keyword arguments with defaults, each documented.
MANY_PARAMETERS = {"sweeps/api/models.py:promote"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "sweeps", "models", "datamodules"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if line.endswith(".py") and (ROOT / line).exists()]


def functions() -> Iterator[tuple[str, Function]]:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def n_parameters(node: Function) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in named if argument.arg not in ("self", "cls")])


def test_sweeps_has_its_twelve_rooms_and_few_modules_beside_them() -> None:
    package = ROOT / "sweeps"
    folders = {path.name for path in package.iterdir() if path.is_dir() and not path.is_symlink()}
    assert folders - {"recipes", "__pycache__"} == ROOMS
    assert len(list(package.glob("*.py"))) <= 13
    assert {path.name for path in package.iterdir() if path.is_symlink()} == {"models", "datamodules"}


def test_a_module_in_the_wrong_room_breaks_a_contract(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sweeps", tmp_path / "sweeps", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def kept() -> bool:
        command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
        done = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False
        )
        return done.returncode == 0

    assert kept()
    misplaced = {
        "sweeps/trial/tuner.py": "import ray\n",
        "sweeps/search/delivery.py": "import mlflow\n",
        "sweeps/config/network.py": "import torch\n",
        "sweeps/trial/results.py": "from sweeps.tracking.results import read_result\n",
        "sweeps/registry/ranking.py": "from sweeps.cli import main\n",
        "sweeps/api/tables.py": "from sweeps.cli.display.rows import print_csv\n",
        "sweeps/cli/results.py": "from sweeps.api.looks import best\n",
        "sweeps/helpers.py": "",
    }
    for name, text in misplaced.items():
        (tmp_path / name).write_text(text)
        assert not kept(), name
        (tmp_path / name).unlink()


def test_functions_are_short_and_take_few_parameters() -> None:
    long, wide = [], []
    for name, node in functions():
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES:
            long.append(name)
        is_command = name.startswith("sweeps/cli/commands/") and not node.name.startswith("_")
        if n_parameters(node) > PARAMETERS and node.name != "__init__" and not is_command:
            wide.append(name)
    assert long == []
    assert set(wide) == MANY_PARAMETERS


def test_modules_are_short_or_explain_why_not() -> None:
    long = [path for path in modules() if len(path.read_text().splitlines()) > MODULE_LINES]
    unexplained = [path for path in long if f"over {MODULE_LINES} lines" not in path.read_text()[:2000]]
    assert unexplained == []


def test_contracts_name_every_room() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = contracts[0]["layers"]
    named = {room for layer in layers for room in layer.replace(":", "|").replace(" ", "").split("|")}
    assert named >= ROOMS

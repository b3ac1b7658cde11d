"""The wheel installs one top-level package and cannot clash with a user's own `models/` or `datamodules/`."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the wheel installs."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    for name in ("sweeps", "models", "datamodules"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(source), str(source)], check=True, capture_output=True)
    (wheel,) = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_wheel_installs_sweeps_alone(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"sweeps"}
    here = {str(path.relative_to(ROOT / "models")) for path in (ROOT / "models").rglob("*.py")}
    there = {str(path.relative_to(installed / "sweeps/models")) for path in (installed / "sweeps/models").rglob("*.py")}
    assert there == here


@pytest.mark.parametrize("clashing", ["models", "datamodules"])
def test_it_runs_beside_a_package_of_the_user(installed: Path, tmp_path: Path, clashing: str) -> None:
    (tmp_path / clashing).mkdir()
    (tmp_path / clashing / "__init__.py").write_text("raise RuntimeError('not this one')\n")
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "validate", "quickstart"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{installed}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stdout

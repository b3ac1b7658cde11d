"""The pages of docs/reference/ are those that the code gives now, and name everything that there is."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import sweeps
from sweeps.cli.app import app
from sweeps.config import json_schema, load
from sweeps.models.metric_table import SWEEP_METRICS, TRIAL_METRICS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def text(page: str) -> str:
    return (REFERENCE / page).read_text()


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_reference_is_up_to_date() -> None:
    done = generate("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_settings_page_has_each_setting_of_the_schema_with_its_description() -> None:
    page = text("settings.md")
    sections = {name: section for name, section in json_schema()["$defs"].items() if "properties" in section}
    assert len(sections) > 20
    for section in sections.values():
        for name, setting in section["properties"].items():
            if name == "name" and name in section.get("required", ()):
                continue  # that of a kind: the table of kinds has it
            description = setting.get("description", "")
            assert f"`{name}`" in page, name
            assert " ".join(description.split()).replace("|", "\\|") in page, name


SMALLEST = {"data": {"name": "digits"}, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}}


def examples() -> list[Any]:
    """The section's path, its kind and the example of each row of the settings page."""
    found = []
    for heading, body in re.findall(r"^##+ ([a-z_.: ]+?)\n(.*?)(?=^##|\Z)", text("settings.md"), flags=re.M | re.S):
        path, _, kind = heading.partition(": ")
        for line in body.splitlines():
            if line.startswith("|") and line.count(" | ") == 4 and not line.startswith(("| setting", "| ---")):
                example = line.rsplit(" | ", 1)[1].removesuffix(" |").strip("`")
                found.append(pytest.param(path, kind, example, id=f"{heading}: {example}"))
    return found


# The smallest section of each kind that needs more than a name.
NEEDS = {"array": {"path": "x.npy"}, "table": {"path": "x.csv"}, "rows": {"rows": [[0.1], [0.2]]}}
NEEDS["points"] = {"points": [{"model.hidden_size": 16}]}
# What else a sweep file with a section of this kind needs.
BESIDE = {"points": {"search": {"model.hidden_size": {"choice": [16, 32]}}}}


@pytest.mark.parametrize(("path", "kind", "example"), examples())
def test_each_example_of_the_settings_page_is_valid(path: str, kind: str, example: str, tmp_path: Path) -> None:
    section, *inner = path.split(".")
    document: dict[str, Any] = {"name": "example"} | SMALLEST
    needed = {"name": kind, **NEEDS.get(kind, {})} if kind else document.get(section, {})
    if section == "model" and "pretraining" in inner:
        needed = {"name": "stacked_denoising"}
    inside = yaml.safe_load(f"{{{example}}}")
    for name in reversed(inner):
        inside = {name: inside}
    document |= {section: {**needed, **inside}} | BESIDE.get(kind, {})
    file = tmp_path / "example.yaml"
    file.write_text(yaml.safe_dump(document))
    assert load(file)


def test_commands_page_has_each_command_and_option() -> None:
    page = text("commands.md")
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert len(commands) > 20
    for name, command in commands.items():
        (section,) = re.findall(rf"^## sweeps {name}\n(.*?)(?=^## |\Z)", page, flags=re.M | re.S)
        assert command.help.strip() in section
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        options = [option for parameter in shown for option in parameter.opts if option.startswith("--")]
        assert [option for option in options if option != "--help" and option not in section] == []


def test_metrics_page_has_each_metric() -> None:
    page = text("metrics.md")
    assert [name for name in (*TRIAL_METRICS, *SWEEP_METRICS) if f"| `{name}` |" not in page] == []


def test_python_page_has_each_public_name() -> None:
    page = text("python.md")
    names = [name for name in sweeps.__all__ if not inspect.ismodule(getattr(sweeps, name))]
    assert [name for name in names if f":::{{py:function}} sweeps.{name}(" not in page] == []
    assert "errors" in sweeps.__all__
    assert ":::{py:exception} sweeps.errors." in page


def test_a_change_of_the_code_is_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "docs"
    subprocess.run(["cp", "-r", str(ROOT / "docs"), str(copy)], check=True)
    page = copy / "reference" / "metrics.md"
    page.write_text(page.read_text().replace("valid/r2", "valid/r3"))
    check = [sys.executable, str(copy / "generate.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "+| `valid/r2`" in done.stdout

"""What pages say of the repository is so: rooms, modules, published claims, and the command that CI installs by."""

import re
from pathlib import Path

from sweeps.experiments.reproduce import CLAIMS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_ci_installs_and_tests_by_the_command_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = [line for line in readme.splitlines() if line.endswith("&& .venv/bin/pytest")]
    assert len(commands) == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_folder_table_names_every_room_of_the_package_and_nothing_else() -> None:
    text = (DOCS / "architecture.md").read_text()
    (table,) = re.findall(r"^\| folder \| contents \|\n(.*?)\n\n", text, flags=re.DOTALL | re.MULTILINE)
    first_cells = " ".join(line.split(" | ")[0] for line in table.splitlines())
    named = set(re.findall(r"`([\w/.]+)`", first_cells))
    assert all((ROOT / path).exists() for path in named)
    packages = [path.parent for path in (ROOT / "sweeps").glob("*/__init__.py")]
    rooms = {f"sweeps/{package.name}/" for package in packages if not package.is_symlink()}
    assert rooms | {"models/", "datamodules/"} == {path for path in named if path.endswith("/")}


def test_modules_on_the_path_from_sweep_file_to_mlflow_run_exist() -> None:
    (way,) = re.findall(
        r"^## From a sweep file to an MLflow run\n(.*?)^## ",
        (DOCS / "architecture.md").read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
    modules = set(re.findall(r"`([\w/]+\.py)`", way))
    assert len(modules) > 20
    assert [module for module in sorted(modules) if not (ROOT / module).is_file()] == []


def test_experiments_table_has_every_published_claim_with_its_tolerance() -> None:
    lines = [
        line.split(" | ")
        for line in (DOCS / "experiments.md").read_text().splitlines()
        if re.fullmatch(r"\| [a-z0-9-]+ \| .* (reached|missed|no target|not measured) \|", line)
    ]
    listed = {(cells[0].removeprefix("| "), *cells[1:3], cells[5]) for cells in lines}
    assert {(claim.experiment, claim.what, claim.published, claim.tolerance) for claim in CLAIMS} <= listed

"""The README and docs/ are correct: their commands, sweep files, links, tables and paths."""

import re
from pathlib import Path

import pytest

from sweeps.config import load
from sweeps.experiments.reproduce import CLAIMS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


N_TRIALS = {
    "README.md": [32],
    "sweep-file.md": [1, 32, 6, 24, 6, 8],
    "own-data.md": [1, 6],
    "search-and-stopping.md": [8],
}


@pytest.mark.parametrize("name", N_TRIALS)
def test_sweep_file_in_the_documentation_is_valid(name: str, tmp_path: Path) -> None:
    (page,) = [page for page in PAGES if page.name == name]
    examples = re.findall(r"```yaml\n(name: .*?)```", page.read_text(), flags=re.DOTALL)
    path = tmp_path / "mine.yaml"
    n_trials = []
    for example in examples:
        path.write_text(example)
        n_trials.append(load(path).n_trials)
    assert n_trials == N_TRIALS[name]


def test_ci_installs_and_tests_by_the_command_in_the_readme() -> None:
    commands = [line for line in README.read_text().splitlines() if line.endswith("&& .venv/bin/pytest")]
    assert len(commands) == 1
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_readme_has_pictures_and_all_exist() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text())
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_resolve(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked() -> None:
    linked = {link.partition("#")[0] for page in PAGES for link in re.findall(r"\]\(([^)]+)\)", page.read_text())}
    assert {page.name for page in PAGES[1:]} <= {Path(link).name for link in linked}


@pytest.mark.parametrize("page", [README, DOCS / "architecture.md"], ids=lambda page: page.name)
def test_folder_table_names_every_room_of_the_package_and_nothing_else(page: Path) -> None:
    (table,) = re.findall(r"^\| folder \| contents \|\n(.*?)\n\n", page.read_text(), flags=re.DOTALL | re.MULTILINE)
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

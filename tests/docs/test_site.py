"""The site builds strictly: a broken link, anchor or reference to a Python object fails the build."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html", "docs", "site"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def build_with(root: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Build with a text added to a page, which is then as before."""
    page = root / "docs" / "speed.md"
    whole = page.read_text()
    page.write_text(f"{whole}\n{text}\n")
    try:
        return build(root)
    finally:
        page.write_text(whole)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's pages with the site built once, so that later builds read only what has changed."""
    root = tmp_path_factory.mktemp("repository")
    for path in ROOT.iterdir():
        if path.suffix == ".md":
            shutil.copy(path, root)
        elif path.name not in ("docs", ".git", ".venv"):
            (root / path.name).symlink_to(path)
    shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("_build", "__pycache__"))
    done = build(root)
    assert (done.returncode, done.stderr) == (0, "")
    return root


def test_site_has_a_page_for_each_page_and_links_between_them(copy: Path) -> None:
    pages = {path.relative_to(copy / "docs").with_suffix(".html") for path in (copy / "docs").rglob("*.md")}
    assert len(pages) > 20
    assert [page for page in pages if not (copy / "site" / page).is_file()] == []
    assert 'href="promotion.html' in (copy / "site" / "diagnosis.html").read_text()


def test_ci_builds_the_site_strictly() -> None:
    assert "sphinx-build -q -W --keep-going -n -b html docs" in (ROOT / ".ci" / "run").read_text()


def test_links_to_pages_at_the_root_lead_to_the_site(copy: Path) -> None:
    """SECURITY.md links to docs/clusters.md, as GitHub needs it."""
    assert "](docs/clusters.md#a-docker-stack)" in (ROOT / "SECURITY.md").read_text()
    assert 'href="clusters.html#a-docker-stack"' in (copy / "site" / "security.html").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x](no-such-page.md)", "cross-reference target not found: 'no-such-page.md'"),
        ("[x](promotion.md#no-such-heading)", "local id not found in doc 'promotion': 'no-such-heading'"),
        ("[x](#no-such-heading-here)", "'myst' cross-reference target not found: 'no-such-heading-here'"),
        ("[x](../no-such-file.py)", "cross-reference target not found: '../no-such-file.py'"),
        ("![x](no-such-picture.png)", "image file not readable: no-such-picture.png"),
        ("{py:func}`sweeps.no_such_function`", "py:func reference target not found: sweeps.no_such_function"),
        ("```{no-such-directive}\n```", "Unknown directive type: 'no-such-directive'"),
    ],
)
def test_what_is_broken_fails_the_build(copy: Path, text: str, message: str) -> None:
    done = build_with(copy, text)
    assert done.returncode != 0
    assert message in done.stderr


def test_links_to_files_and_python_objects_build(copy: Path) -> None:
    done = build_with(copy, "[s](../SECURITY.md) [p](../pyproject.toml) [t](../tests) {py:func}`sweeps.run`")
    assert (done.returncode, done.stderr) == (0, "")
    built = (copy / "site" / "speed.html").read_text()
    assert 'href="security.html"' in built
    assert "pyproject.toml" in built
    assert 'href="reference/python.html#sweeps.run"' in built

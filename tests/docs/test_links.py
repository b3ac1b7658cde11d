"""Links between files of the repository resolve on GitHub; those to elsewhere have the right form."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
# Sphinx gives these names to pages of its own.
OF_SPHINX = ("genindex", "modindex", "search")


def links(page: Path) -> list[str]:
    """The targets of the links and pictures of a page."""
    inline = [token for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()) if token.children]
    children = [child for token in inline for child in token.children or []]
    return [str(child.attrGet("href") or child.attrGet("src")) for child in children if child.type in TARGETS]


TARGETS = ("link_open", "image")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        if "://" in name:
            continue
        target = page.parent / name if name else page
        assert target.exists(), link
        assert target.resolve().is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_links_to_elsewhere_are_addresses_by_https() -> None:
    external = [link for page in PAGES for link in links(page) if "://" in link]
    assert external
    for link in external:
        parts = urlsplit(link)
        is_local = parts.hostname in ("127.0.0.1", "localhost")
        assert parts.scheme == "https" or is_local, link
        assert is_local or re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.hostname or ""), link


def test_no_page_has_the_name_of_a_page_of_sphinx() -> None:
    assert [page.name for page in PAGES if page.stem in OF_SPHINX] == []


def test_readme_has_pictures() -> None:
    assert re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())

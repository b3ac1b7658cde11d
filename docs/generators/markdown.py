"""Pieces of Markdown that GitHub and the site show alike."""

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell that is empty in every row has no column."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    kept = [i for i in range(len(headings)) if any(row[i] for row in cells)]
    lines = [[headings[i] for i in kept], ["---"] * len(kept), *([row[i] for i in kept] for row in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def code(text: str) -> str:
    """Return text as code; an empty text stays empty."""
    return f"`{text}`" if text else ""


def block(language: str, text: str, why_not_run: str = "") -> str:
    """Return a fenced block, marked with why no test of the pages runs it."""
    mark = f"<!-- not run: {why_not_run} -->\n" if why_not_run else ""
    return f"{mark}```{language}\n{text.rstrip()}\n```\n\n"

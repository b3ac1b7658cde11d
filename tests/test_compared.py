"""docs/compared.md shows what was measured: its table is made from `tests/benchmarks/results/by_hand-cpu.json`."""

import json
from pathlib import Path

import pytest
from by_hand.contestants import CONTESTANTS, HERE, n_lines
from by_hand.report import report

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "tests" / "benchmarks" / "results"


@pytest.fixture(scope="module")
def figures() -> dict[str, object]:
    measured: dict[str, object] = json.loads((RESULTS / "by_hand-cpu.json").read_text())["figures"]
    return measured


def test_page_shows_the_measured_table(figures: dict[str, object]) -> None:
    assert report(figures) in (ROOT / "docs" / "compared.md").read_text()
    assert (RESULTS / "by_hand.md").read_text() == report(figures)


def test_lines_are_those_of_the_files(figures: dict[str, object]) -> None:
    assert figures["lines"] == {who.name: sum(n_lines(HERE / name) for name in who.files) for who in CONTESTANTS}


def test_lines_without_comments_docstrings_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(
        '"""One\n\ntwo."""\n\nimport os  # three\n\n\ndef f():\n    """Four."""\n    return "a # b"\n'
    )
    (tmp_path / "sweep.yaml").write_text("# one\nname: a  # two\n\ndata: {name: digits}\n")
    assert n_lines(tmp_path / "code.py") == 3
    assert n_lines(tmp_path / "sweep.yaml") == 2

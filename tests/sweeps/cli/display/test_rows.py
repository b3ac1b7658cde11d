"""Rows as CSV, as Markdown and as a wide table."""

import csv
import io
import json
import re
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sweeps.cli.display.rows import columns, print_csv, print_markdown, print_wide
from sweeps.cli.printable import printable

VALUES = st.one_of(
    st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=9), st.floats(), st.integers()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(["trial", "valid/mse", "why"]), VALUES, min_size=1), min_size=1))
def test_csv_holds_every_value(capsys: pytest.CaptureFixture[str], rows: list[dict[str, Any]]) -> None:
    print_csv(rows)
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    written = [{name: "" if (value := row.get(name)) is None else str(value) for name in columns(rows)} for row in rows]
    assert read == written


def test_lists_and_truths_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv([{"sizes": [512, 128], "front": True}])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (json.loads(row["sizes"]), json.loads(row["front"])) == ([512, 128], True)


def test_a_column_of_later_rows_follows_the_column_before_it() -> None:
    assert columns([{"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}, {"d": 1}]) == ["d", "a", "b", "c"]


def test_a_wide_table_has_each_row_in_one_line_and_no_empty_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_wide([{"trial": "0001", "why": "words " * 40, "none": None}, {"trial": "0002", "why": "", "none": ""}])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["trial", "why"]
    assert ("words " * 40).strip() in first
    assert second.strip() == "0002"


def test_markdown_has_a_row_in_each_line_and_no_empty_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_markdown(
        [
            {"trial": "0001", "valid/mse": 0.123456, "model.hidden_size": 64, "reason": None},
            {"trial": "0002", "valid/mse": None, "model.hidden_size": 8, "reason": ""},
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "| trial | valid/mse | model.hidden_size |",
        "| --- | ---: | ---: |",
        "| 0001 | 0.1235 | 64 |",
        "| 0002 |  | 8 |",
    ]
    print_markdown([])
    assert capsys.readouterr().out == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=12))
def test_markdown_shows_text_from_outside_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_markdown([{"trial": "0001", "why": f"<b>{text}|_x_"}])
    *_, row = capsys.readouterr().out.splitlines()
    html = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n| --- | --- |\n{row}")
    cells = re.findall(r"<td>(.*?)</td>", html, re.DOTALL)
    assert [unescape(cell) for cell in cells] == ["0001", " ".join(printable(f"<b>{text}|_x_").split())]

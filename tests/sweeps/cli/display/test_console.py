"""The width of what is printed: that of a terminal, and none in a file."""

import pytest
from rich.table import Table

from sweeps.cli.display.console import fits, is_unlimited, open_console

LONG = "word " * 60


def table() -> Table:
    made = Table("first", "second", box=None)
    made.add_row("1", LONG)
    made.add_row("2", "short")
    return made


def test_a_line_in_a_file_is_whole_and_not_padded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = open_console()
    assert is_unlimited(console)
    assert fits(console, table())
    console.print(table())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["first", "second"], ["1", *LONG.split()], ["2", "short"]]
    assert all(line == line.rstrip() for line in lines)


def test_a_line_wraps_at_the_width_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    console = open_console()
    assert not is_unlimited(console)
    assert not fits(console, table())
    console.print(table())
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 50
    assert is_unlimited(open_console(wide=True))


def test_a_name_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    open_console().print("my_networks:Star: 16 passed")
    assert capsys.readouterr().out == "my_networks:Star: 16 passed\n"

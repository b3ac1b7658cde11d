"""What a person sees of the history of an alias."""

import pytest

from sweeps.cli.display.alias_history import print_history
from sweeps.registry.alias_history import Move, MoveKind
from sweeps.registry.audited_history import AuditedHistory
from sweeps.registry.logged_moves import LoggedMove
from sweeps.storage.chained_log import LogEntry


def history(*moves: Move, holder: str | None, entries: int = 0, others: tuple[str, ...] = ()) -> AuditedHistory:
    """The history of these moves; the first `entries` of them are in the log."""
    logged = [LoggedMove(LogEntry(number, b"{}"), made=True, is_settled=True) for number in range(1, entries + 1)]
    pairs = list(zip(moves, [*logged, *[None] * (len(moves) - entries)], strict=True))
    return AuditedHistory(pairs, holder, "here:/home/promotions", entries, others)


def test_a_history_is_printed_newest_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    first = Move(
        "1", None, MoveKind.PROMOTION, "the first", "sweep", "0001", "run", "2026-01-01T12:00:00+00:00", "me@here"
    )
    outside = Move("7", "1", MoveKind.OUTSIDE, "by hand")
    print_history("digits", "champion", history(first, outside, holder="7", entries=1))
    _, newest, oldest, _, log = capsys.readouterr().out.splitlines()
    assert newest.startswith("7 <- champion")
    assert "moved outside sweeps" in newest
    assert oldest.startswith("1 ")
    assert "sweep/0001" in oldest
    assert "entry 1" in oldest
    assert "not in the log" in newest
    assert log == (
        "log of promotions: here:/home/promotions, 1 entries; check it with --verify. Not in the log: 1 move"
    )
    print_history("digits", "canary", history(holder=None))
    assert "no version has held canary" in capsys.readouterr().out


def test_a_history_marks_no_version_if_the_alias_was_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    print_history("digits", "champion", history(Move("1", None, MoveKind.PROMOTION, "the first"), holder=None))
    printed = capsys.readouterr().out
    assert "<- champion" not in printed
    assert "no version is champion now" in printed


REASON = "better than version 1: 0.4 against 0.5, and the 95 % interval of the difference lies below 0"
LONG = Move(
    "12",
    "1",
    MoveKind.PROMOTION,
    REASON,
    "quickstart-20261130-112751-2102",
    "0007",
    "run",
    "2026-01-01T12:00:00+00:00",
    "somebody@a-host.of.a.cluster",
)


def test_a_history_too_wide_for_the_terminal_is_printed_in_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outside = Move("1", None, MoveKind.OUTSIDE, "by hand")
    print_history("digits", "champion", history(outside, LONG, holder="12", others=("cluster:/sweeps/promotions",)))
    *lines, _, log = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert log.endswith("Not in this log: 2 moves; versions name cluster:/sweeps/promotions")
    assert lines[0] == "version 12 <- champion"
    assert lines[1].startswith("  promotion 2026-01-01 ")
    assert lines[1].endswith(" by somebody@a-host.of.a.cluster")
    assert lines[2] == "  quickstart-20261130-112751-2102/0007"
    assert lines[3] == "  not in the log"
    assert " ".join(line.strip() for line in lines[4:-4]) == REASON
    assert lines[-4:] == ["version 1", "  moved outside sweeps", "  not in the log", "  by hand"]
    assert max(map(len, lines)) <= 80


def test_a_history_in_a_file_is_a_table_of_one_line_a_move(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_history("digits", "champion", history(LONG, holder="12", entries=1))
    _, line, *_ = capsys.readouterr().out.splitlines()
    assert REASON in line


@pytest.mark.parametrize("when", ["yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_was_edited_in_mlflow_is_printed_as_it_is(capsys: pytest.CaptureFixture[str], when: str) -> None:
    move = Move("1", None, MoveKind.PROMOTION, "the first", "sweep", "0001", "run", when, "me@here")
    print_history("digits", "champion", history(move, holder="1"))
    assert f" {when} " in capsys.readouterr().out

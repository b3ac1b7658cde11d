"""What a person sees of a promotion and of a history."""

import json

import pytest

from sweeps.cli.display import registry
from sweeps.registry.alias_history import Move, MoveKind
from sweeps.registry.gates import GateResult
from sweeps.registry.promotion import Promotion, PromotionVerdict, Request
from sweeps.registry.significance import Comparison, GateOutcome


def against_champion(comparison: Comparison) -> GateResult:
    return GateResult("champion", comparison.outcome, comparison.describe("version 1"), comparison.numbers)


BETTER = against_champion(Comparison(0.4, 0.5, -0.12, -0.08, 0.95))
TIED = against_champion(Comparison(0.5, 0.5, -0.01, 0.01, 0.95))
LARGE = GateResult("size", GateOutcome.FAILED, "2 MB, limit 1 MB", {"bytes": 2e6, "limit": 1e6})


def promotion(
    verdict: PromotionVerdict, *found: GateResult, version: str | None = None, replaced: str | None = "1"
) -> Promotion:
    return Promotion(Request("digits"), "sweep", "0003", "run", verdict, found, version, replaced)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            promotion(PromotionVerdict.PROMOTED, BETTER, version="2"),
            "is digits@champion now, as version 2; it replaces version 1",
        ),
        (promotion(PromotionVerdict.PROMOTED, LARGE, version="2"), "as version 2, by force; it replaces version 1"),
        (
            promotion(PromotionVerdict.REFUSED, TIED, LARGE),
            "not promoted to digits@champion; failed gates: champion, size; version 1 stays",
        ),
        (promotion(PromotionVerdict.REFUSED, LARGE, replaced=None), "there is no champion"),
        (
            promotion(PromotionVerdict.WOULD_BE_PROMOTED, BETTER),
            "sweep/0003 would become digits@champion; this was a dry run",
        ),
        (
            promotion(PromotionVerdict.WOULD_BE_PROMOTED, LARGE),
            "would become digits@champion despite failed gates: size; this was",
        ),
        (
            promotion(PromotionVerdict.WOULD_BE_REFUSED, TIED),
            "would not be promoted to digits@champion; failed gates: champion; this was a dry run",
        ),
        (promotion(PromotionVerdict.ALREADY, version="1"), "is digits@champion already, as version 1"),
    ],
)
def test_the_conclusion_names_the_verdict(outcome: Promotion, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    registry.print_promotion(outcome)
    assert words in capsys.readouterr().out


def test_every_gate_has_its_outcome_and_sentence_in_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    registry.print_promotion(promotion(PromotionVerdict.REFUSED, BETTER, LARGE))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["gate", "outcome", "why"]
    assert lines[1].startswith("champion  passed   better than version 1: 0.4 against 0.5")
    assert lines[2].startswith("size      failed   2 MB, limit 1 MB")


def test_a_promotion_is_one_json_object_with_every_gate() -> None:
    plain = json.loads(json.dumps(promotion(PromotionVerdict.PROMOTED, TIED, version="2").to_dict(), allow_nan=False))
    assert (plain["verdict"], plain["version"], plain["replaced"], plain["forced"]) == ("promoted", "2", "1", True)
    assert plain["gates"][0]["outcome"] == "tie"
    assert plain["gates"][0]["numbers"]["low"] == -0.01


def test_a_history_is_printed_newest_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    first = Move(
        "1", None, MoveKind.PROMOTION, "the first", "sweep", "0001", "run", "2026-01-01T12:00:00+00:00", "me@here"
    )
    registry.print_history("digits", "champion", [first, Move("7", "1", MoveKind.OUTSIDE, "by hand")], "7")
    _, newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.startswith("7 <- champion")
    assert "moved outside sweeps" in newest
    assert oldest.startswith("1 ")
    assert "sweep/0001" in oldest
    registry.print_history("digits", "canary", [], None)
    assert "no version has held canary" in capsys.readouterr().out


def test_a_history_marks_no_version_if_the_alias_was_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    registry.print_history("digits", "champion", [Move("1", None, MoveKind.PROMOTION, "the first")], None)
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
    registry.print_history("digits", "champion", [Move("1", None, MoveKind.OUTSIDE, "by hand"), LONG], "12")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "version 12 <- champion"
    assert lines[1].startswith("  promotion 2026-01-01 ")
    assert lines[1].endswith(" by somebody@a-host.of.a.cluster")
    assert lines[2] == "  quickstart-20261130-112751-2102/0007"
    assert " ".join(line.strip() for line in lines[3:-3]) == REASON
    assert lines[-3:] == ["version 1", "  moved outside sweeps", "  by hand"]
    assert max(map(len, lines)) <= 80


def test_a_history_in_a_file_is_a_table_of_one_line_a_move(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    registry.print_history("digits", "champion", [LONG], "12")
    _, line = capsys.readouterr().out.splitlines()
    assert REASON in line

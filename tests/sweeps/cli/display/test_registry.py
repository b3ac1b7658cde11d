"""What a person sees of a promotion."""

import json

import pytest

from sweeps.cli.display import registry
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

"""What a promotion shows at a Python prompt."""

import pytest

from sweeps.registry.gates import GateResult
from sweeps.registry.promotion import Promotion, PromotionVerdict, Request
from sweeps.registry.significance import GateOutcome

LONG = (
    "loss 0.4321 against 0.4320 of version 3, difference 0.0001 (95 % interval -0.0123 to 0.0125), which contains 0: "
    "the challenger is not shown to be better; run again with promotion.compare set to another loss"
)
PASSED = GateResult("size", GateOutcome.PASSED, f"0.1 MB, limit 500 MB; {LONG}")
FAILED = GateResult("champion", GateOutcome.FAILED, LONG)


def promotion(verdict: PromotionVerdict, *gates: GateResult) -> Promotion:
    return Promotion(Request("digits"), "demo-1", "0003", "run", verdict, gates, "4", "3", advice=f"advice: {LONG}")


def test_reasons_of_failed_gates_and_the_advice_are_shown_in_full() -> None:
    lines = repr(promotion(PromotionVerdict.REFUSED, PASSED, FAILED)).splitlines()
    assert max(map(len, lines)) <= 100
    text = " ".join(line.strip() for line in lines)
    assert f"failed: champion: {LONG}" in text
    assert f"advice: {LONG}" in text
    assert lines[-1].startswith("  passed: size: 0.1 MB")
    assert lines[-1].endswith("...")


@pytest.mark.parametrize("verdict", [PromotionVerdict.PROMOTED, PromotionVerdict.WOULD_BE_PROMOTED])
def test_a_forced_promotion_says_so(verdict: PromotionVerdict) -> None:
    assert repr(promotion(verdict, FAILED)).splitlines()[1] == f"  {verdict} past failed gates (forced), version 4"
    assert repr(promotion(verdict, PASSED)).splitlines()[1] == f"  {verdict}, version 4"

"""What a person sees of an audit."""

import pytest

from sweeps.cli.display.audit import print_audit
from sweeps.registry.audit import Audit, Check, CheckOutcome

CHECKS = [
    Check("log", CheckOutcome.PASSED, "4 entries, unbroken"),
    Check("champion", CheckOutcome.NOTE, "it points at version 1; the log has no move of it"),
]


@pytest.mark.parametrize("failed", [False, True])
def test_each_check_is_a_line_and_the_conclusion_comes_last(
    failed: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    failure = [Check("files", CheckOutcome.FAILED, "those of version 1 were changed: " + 3 * "0123456789")]
    print_audit("digits", "champion", Audit("here:/home/promotions", 4, CHECKS + (failure if failed else [])))
    first, second, *rest = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert first == "ok      log: 4 entries, unbroken"
    assert second == "note    champion: it points at version 1; the log has no move of it"
    assert rest[-2] == "log of promotions: here:/home/promotions, 4 entries"
    if failed:
        assert rest[0] == "failed  files: those of version 1 were changed: " + 3 * "0123456789"
        assert rest[-1] == "digits@champion: NOT verified, 1 of 3 checks failed, 1 notes"
    else:
        assert rest[-1] == "digits@champion: verified, 1 checks passed, 1 notes"

"""After a refusal one line says what to do, and does not mistake the luck of many tries for a better model."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sweeps.config import SweepConfig
from sweeps.registry import refusal
from sweeps.registry.challenger import Challenger
from sweeps.registry.gates import GateResult
from sweeps.registry.promotion import Request
from sweeps.registry.rediagnosis import Rediagnosis
from sweeps.registry.refusal import Refusal
from sweeps.registry.significance import GateOutcome
from sweeps.tracking.results import SweepResult

# A code that is no bottleneck must beat the training mean, which two epochs on digits do at this rate.
MODEL = {"name": "shallow", "hidden_size": 80, "activation": "elu"}
TRAINING = {"epochs": 2, "batch_size": 32, "probe_samples": 0}
RunHere = Callable[[SweepConfig], SweepResult]
TIE = {"difference": -0.0135, "low": -0.0303, "high": 0.0034, "challenger": 0.027, "other": 0.0404}
WORSE = {"difference": 0.1, "low": 0.05, "high": 0.15}


def failure(name: str, outcome: GateOutcome = GateOutcome.FAILED, **numbers: float) -> GateResult:
    return GateResult(name, outcome, "", numbers)


@pytest.fixture
def lines() -> list[str]:
    """What the refusals have logged."""
    return []


@pytest.fixture
def refuse(
    lines: list[str], small_sweep: Callable[..., SweepConfig], run_here: RunHere
) -> Callable[..., tuple[str, SweepResult]]:
    """The advice for the last of the trials with these learning rates, after these gates failed."""

    def make(
        rates: Sequence[float], *gates: GateResult, first: bool = True, **sections: Any
    ) -> tuple[str, SweepResult]:
        search = {"training.learning_rate": {"grid": list(rates)}}
        grid = {"search": search, "algorithm": {"name": "grid"}}
        result = run_here(small_sweep(**({"model": MODEL, "training": TRAINING} | grid | sections)))
        challenger = Challenger.of(result, result.points[-1])
        request, sound = Request("digits", first=first), Rediagnosis(2, 2, [], [])
        return Refusal(challenger, None, sound, request, gates, lines.append).advice(), result

    return make


def test_a_trial_that_would_pass_is_named_with_its_command(refuse: Callable[..., Any], lines: list[str]) -> None:
    advice, result = refuse([1e-2, 1e-7], failure("reference", **WORSE))
    command = f"sweeps promote {result.sweep}/0000 --model digits --first"
    assert advice == f"trial 0000, rank 1, would pass: `{command}`"
    assert lines == ["checking whether another trial would pass (1 at most) ..."]


def test_without_another_that_passes_the_way_out_is_named(refuse: Callable[..., Any]) -> None:
    advice, result = refuse([1e-8, 1e-7], failure("reference", **WORSE))
    change = f"`sweeps diagnose {result.sweep}/0001` shows what to change"
    assert advice.startswith(f"it is worse than the training mean: {change}. The ")
    assert advice.endswith(" trial would not pass either")


def test_a_tie_with_a_lower_loss_says_how_many_test_samples_would_show_it(refuse: Callable[..., Any]) -> None:
    advice, _ = refuse([1e-7], failure("reference", GateOutcome.TIE, **TIE))
    assert (
        "are too few to show it: run again with data.n_test at about 1200, which would probably show it, or add --force"
        in advice
    )


def test_only_first_is_missing(refuse: Callable[..., Any]) -> None:
    advice, result = refuse([1e-2], failure("champion"), first=False)
    assert advice == f"it passes every other gate: `sweeps promote {result.sweep}/0000 --model digits --first`"


@pytest.mark.parametrize("names", [("size",), ("diagnosis",), ("reference", "size")])
def test_other_trials_are_judged_only_after_a_lost_comparison(
    names: Sequence[str], refuse: Callable[..., Any], lines: list[str]
) -> None:
    numbers = WORSE | {"bytes": 2e9, "limit": 1e9}
    advice, _ = refuse([1e-2, 1e-7], *(failure(name, **numbers) for name in names))
    assert "trial 0000" not in advice
    assert lines == []


def test_the_more_trials_are_examined_the_stricter_is_each_test(
    refuse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    confidences: list[float] = []

    def judge(contest: Any, _gates: Any) -> list[GateResult]:
        confidences.append(contest.limits.confidence)
        return [failure("reference")]

    monkeypatch.setattr(refusal, "judge", judge)
    advice, _ = refuse([1e-2, 2e-2, 3e-2, 4e-2, 5e-2], failure("reference", **WORSE))
    assert confidences == pytest.approx([1 - 0.05 / 4] * 4)
    assert advice.endswith(" trials would pass either (each tested at 98.75 % confidence, because 4 are tested)")

"""After a refusal one line says what to do, and does not mistake the luck of many tries for a better model."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import SweepConfig
from sweeps.registry import refusal
from sweeps.registry.challenger import Challenger
from sweeps.registry.gates import GateResult
from sweeps.registry.promotion import Request
from sweeps.registry.refusal import Refusal, samples_needed
from sweeps.registry.significance import GateOutcome, compare
from sweeps.tracking.results import SweepResult

# A code that is no bottleneck must beat the training mean, which two epochs on digits do at this rate.
MODEL = {"name": "shallow", "hidden_size": 80, "activation": "elu"}
TRAINING = {"epochs": 2, "batch_size": 32, "probe_samples": 0}
RunHere = Callable[[SweepConfig], SweepResult]
TIE = {"difference": -0.0135, "low": -0.0303, "high": 0.0034, "challenger": 0.027, "other": 0.0404}


def failure(name: str, outcome: GateOutcome = GateOutcome.FAILED, **numbers: float) -> GateResult:
    return GateResult(name, outcome, "", numbers)


@pytest.fixture
def refuse(small_sweep: Callable[..., SweepConfig], run_here: RunHere) -> Callable[..., tuple[str | None, SweepResult]]:
    """The advice for the last of the trials with these learning rates, after these gates failed."""

    def make(
        rates: Sequence[float], *gates: GateResult, first: bool = True, **sections: Any
    ) -> tuple[str | None, SweepResult]:
        search = {"training.learning_rate": {"grid": list(rates)}}
        grid = {"search": search, "algorithm": {"name": "grid"}}
        result = run_here(small_sweep(**({"model": MODEL, "training": TRAINING} | grid | sections)))
        challenger = Challenger.of(result, result.points[-1])
        return Refusal(challenger, None, Request("digits", first=first), gates).advice(), result

    return make


def test_a_trial_that_would_pass_is_named_with_its_command(refuse: Callable[..., Any]) -> None:
    advice, result = refuse([1e-2, 1e-7], failure("reference"))
    command = f"sweeps promote {result.sweep}/0000 --model digits --first"
    assert advice == f"trial 0000, rank 1, would pass: `{command}`"


def test_without_another_that_passes_the_way_out_is_named(refuse: Callable[..., Any]) -> None:
    advice, result = refuse([1e-8, 1e-7], failure("reference", difference=0.1))
    assert advice.startswith(f"it is not shown to beat a simple baseline: `sweeps diagnose {result.sweep}/0001`")
    assert advice.endswith(
        "Nor would the best other trial pass at 95 % confidence, which allows for the number examined"
    )


def test_a_tie_with_a_lower_loss_says_how_many_test_samples_would_show_it(refuse: Callable[..., Any]) -> None:
    advice, _ = refuse([1e-7], failure("reference", GateOutcome.TIE, **TIE))
    assert "are too few to show it: run again with data.n_test at about 570, or add --force" in advice


def test_only_first_is_missing(refuse: Callable[..., Any]) -> None:
    advice, result = refuse([1e-2], failure("champion"), first=False)
    assert advice == f"it passes every other gate: `sweeps promote {result.sweep}/0000 --model digits --first`"


def test_gates_of_the_package_explain_themselves(refuse: Callable[..., Any]) -> None:
    assert refuse([1e-2], failure("size"))[0] is None


def test_the_more_trials_are_examined_the_stricter_is_each_test(
    refuse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    confidences: list[float] = []

    def judge(contest: Any, _gates: Any) -> list[GateResult]:
        confidences.append(contest.limits.confidence)
        return [failure("reference")]

    monkeypatch.setattr(refusal, "judge", judge)
    refuse([1e-2, 2e-2, 3e-2, 4e-2, 5e-2], failure("reference", difference=0.1))
    assert confidences == pytest.approx([1 - 0.05 / 4] * 4)


@given(difference=st.floats(-0.5, -0.001), spread=st.floats(0.01, 1), n_test=st.integers(20, 5000))
def test_the_samples_needed_bring_the_interval_to_zero(difference: float, spread: float, n_test: int) -> None:
    high = difference + 1.96 * spread / math.sqrt(n_test)
    gate = failure("reference", GateOutcome.TIE, difference=difference, high=high)
    needed = samples_needed(gate, n_test)
    at_needed = difference + 1.96 * spread / math.sqrt(needed)
    assert at_needed <= 1e-9
    assert needed <= max(10, 1.2 * (1.96 * spread / difference) ** 2 + 1)


def test_that_many_samples_do_show_a_difference_of_wrong_labels() -> None:
    draw = np.random.default_rng(0)
    wrong = draw.choice(4, 20_000, p=[0.925, 0.02, 0.035, 0.02])  # neither, both, the other, the challenger
    challenger, other = np.isin(wrong, (1, 3)).astype(float), np.isin(wrong, (1, 2)).astype(float)
    few = compare(challenger[:300], other[:300], 0.95)
    assert few.outcome is GateOutcome.TIE
    gate = failure("reference", GateOutcome.TIE, difference=-0.015, high=-0.015 + few.high - few.difference)
    needed = samples_needed(gate, 300)
    assert 300 < needed < 5000
    assert compare(challenger[: 2 * needed], other[: 2 * needed], 0.95).outcome is GateOutcome.PASSED

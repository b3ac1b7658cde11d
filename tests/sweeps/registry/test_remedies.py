"""After a refusal each failed gate has a clause that says what to change, the gravest gate first."""

import math
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config.promotion import PromotionConfig
from sweeps.registry.contest import Champion
from sweeps.registry.gates import GATES, GateResult
from sweeps.registry.rediagnosis import Rediagnosis
from sweeps.registry.remedies import Remedies, samples_needed
from sweeps.registry.significance import GateOutcome, compare

HARDLY_TRAINED = "hardly trained: no better than the mean"
FOUND = Rediagnosis(16, 20, [HARDLY_TRAINED], [], {HARDLY_TRAINED: "raise training.epochs from 20 to 40"})
SOUND = Rediagnosis(16, 20, [], [])
MODEL: Any = SimpleNamespace()
CHAMPION = Champion("3", {}, MODEL)
DIAGNOSE = "`sweeps diagnose mine-1/0004` shows what to change"
TIE = {"difference": -0.0135, "low": -0.0303, "high": 0.0034}
WORSE = {"difference": 0.1, "low": 0.05, "high": 0.15}
NUMBERS: dict[str, dict[str, float]] = {
    "dead units": {"share": 0.8, "limit": 0.5},
    "reference": WORSE,
    "champion": WORSE,
    "size": {"bytes": 6e8, "limit": 5e8},
    "latency": {"milliseconds": 120.0, "limit": 100.0},
}


def failure(name: str, outcome: GateOutcome = GateOutcome.FAILED, **numbers: float) -> GateResult:
    return GateResult(name, outcome, "", numbers or NUMBERS.get(name, {}))


def remedies(
    *gates: GateResult,
    champion: Champion | None = None,
    rediagnosis: Rediagnosis = SOUND,
    n_test: int = 297,
    validate_on: str = "valid",
) -> str:
    benchmark = SimpleNamespace(
        sweep=SimpleNamespace(name="mine"),
        arrays=SimpleNamespace(test=range(n_test), validate_on=validate_on),
        has_test_samples=n_test > 0,
        baseline=SimpleNamespace(name="PCA with 4 components"),
        limits=PromotionConfig(),
    )
    challenger: Any = SimpleNamespace(
        benchmark=benchmark, result=SimpleNamespace(sweep="mine-1"), ranked=SimpleNamespace(trial="0004")
    )
    return str(Remedies(challenger, champion, rediagnosis, gates))


def test_a_blocking_finding_comes_before_a_tie_that_no_test_samples_would_break() -> None:
    line = remedies(failure("reference", GateOutcome.TIE, **TIE), failure("diagnosis"), rediagnosis=FOUND)
    assert line == (
        f'the diagnosis at epoch 16 found "{HARDLY_TRAINED}": raise training.epochs from 20 to 40; '
        "it is not shown to beat PCA with 4 components, and more test samples alone would not help"
    )


def test_a_tie_alone_says_how_many_test_samples_would_show_the_lower_loss() -> None:
    tie = failure("reference", GateOutcome.TIE, **TIE)
    expected = (
        "its loss is lower than that of PCA with 4 components, but 297 test samples are too few to show it: "
        "run again with data.n_test at about 960, which would probably show it, or add --force (force=True "
        "in Python), which is recorded"
    )
    assert remedies(tie) == expected
    both = f"{expected}; no version holds the alias yet: add --first (first=True in Python)"
    assert remedies(tie, failure("champion")) == both
    assert "data.n_test" not in remedies(tie, failure("size"))
    assert "data.n_test" not in remedies(tie, failure("champion"), champion=CHAMPION)


def test_a_tie_of_a_single_sample_or_a_higher_loss_names_no_number_of_samples() -> None:
    for numbers in (TIE | {"low": -math.inf, "high": math.inf}, {"difference": 0.01, "low": -0.01, "high": 0.03}):
        tie = failure("reference", GateOutcome.TIE, **numbers)
        assert remedies(tie) == f"it is not shown to beat PCA with 4 components: {DIAGNOSE}"


def test_what_is_worse_is_called_worse() -> None:
    assert remedies(failure("reference")) == f"it is worse than PCA with 4 components: {DIAGNOSE}"
    both = remedies(failure("champion"), failure("reference"), champion=CHAMPION)
    assert both == f"it is worse than PCA with 4 components and it is worse than the champion, version 3: {DIAGNOSE}"
    blocked = remedies(failure("reference"), failure("diagnosis"), rediagnosis=FOUND)
    assert blocked.endswith("raise training.epochs from 20 to 40; it is worse than PCA with 4 components")
    broken = failure("reference", difference=math.nan, low=math.nan, high=math.nan)
    assert "are not finite" in remedies(broken)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("same data", "train the champion's settings on the data of this sweep"),
        ("reloaded", "report this as a bug"),
        ("diagnosis", "raise training.epochs from 20 to 40"),
        ("dead units", "80.0% of the code's units are constant: make the code smaller"),
        ("reference", "it is worse than PCA with 4 components"),
        ("champion", "it is worse than the champion, version 3"),
        ("seeds", "`sweeps status mine-seeds`"),
        ("size", "its 600 MB exceed 500 MB: make the network smaller"),
        ("latency", "its 120 ms for one sample exceed 100 ms: promote on an idle machine"),
    ],
)
def test_each_failed_gate_says_what_to_change_alone_and_among_all_others(name: str, change: str) -> None:
    assert change in remedies(failure(name), champion=CHAMPION, rediagnosis=FOUND)
    assert change in remedies(*map(failure, GATES), champion=CHAMPION, rediagnosis=FOUND)


def test_test_metrics_say_which_samples_are_needed() -> None:
    assert "run again with data.n_test above 0" in remedies(failure("test metrics"), n_test=0)
    assert "run again with data.validate_on other than test" in remedies(failure("test metrics"), validate_on="test")
    assert remedies(failure("test metrics")) == f"its test metrics are not finite: {DIAGNOSE}"


def test_a_champion_of_other_data_or_without_classes_says_what_makes_it_comparable() -> None:
    incomparable = GateResult("champion", GateOutcome.FAILED, "")
    elsewhere = remedies(failure("same data"), incomparable, champion=Champion("3", {}, None))
    assert elsewhere == remedies(failure("same data"))
    assert "promotion.compare" in remedies(incomparable, champion=CHAMPION)


def test_the_advice_of_a_finding_of_dead_units_is_given_to_their_gate() -> None:
    found = Rediagnosis(16, 20, ["dead units"], [], {"dead units": "set model.activation to elu in place of relu"})
    line = remedies(failure("dead units"), rediagnosis=found)
    assert line == "80.0% of the code's units are constant: set model.activation to elu in place of relu"


@given(difference=st.floats(-0.5, -0.001), spread=st.floats(0.01, 1), n_test=st.integers(20, 5000))
def test_the_samples_needed_show_the_difference_with_a_power_of_80_percent(
    difference: float, spread: float, n_test: int
) -> None:
    high = difference + 1.96 * spread / math.sqrt(n_test)
    gate = failure("reference", GateOutcome.TIE, difference=difference, high=high)
    needed = samples_needed(gate, n_test)
    exact = (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)) ** 2 * (spread / difference) ** 2
    assert 0.99 * exact <= needed <= max(10, 1.11 * exact + 1)


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

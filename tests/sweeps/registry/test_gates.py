"""Each gate gives an outcome (passed, failed, tie or not applicable), its numbers and what to do."""

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sweeps.config.promotion import PromotionConfig
from sweeps.datamodules.arrays import Split
from sweeps.models.diagnosis.findings import FindingName
from sweeps.registry import gates
from sweeps.registry.benchmark import data_identity
from sweeps.registry.contest import Champion, Reseeding
from sweeps.registry.gates import GateFunction, GateResult, Judgement
from sweeps.registry.rediagnosis import Rediagnosis
from sweeps.registry.significance import Comparison, GateOutcome

BETTER = Comparison(0.4, 0.5, -0.12, -0.08, 0.95)
WORSE = Comparison(0.6, 0.5, 0.08, 0.12, 0.95)
TIED = Comparison(0.5, 0.5, -0.01, 0.02, 0.95)
ARRAYS: Any = SimpleNamespace(checksum="a" * 64, scale=1.0, validate_on="valid", test=Split(np.zeros((10, 3)), None))
SAME_DATA = data_identity(ARRAYS)
AUTOENCODER: Any = SimpleNamespace(columns={"code": (0, 1)})
CHAMPION = Champion("3", SAME_DATA, AUTOENCODER)


def contest(
    comparison: Comparison | None = None,
    champion: Champion | None = None,
    *,
    first: bool = False,
    loss: str = "mse",
    arrays: Any = ARRAYS,
    **measured: Any,
) -> Any:
    """A contest in which every comparison gives `comparison`, and the gates' other measurements are `measured`."""
    benchmark = SimpleNamespace(
        arrays=arrays,
        has_test_samples=len(arrays.test) > 0,
        loss=loss,
        baseline=SimpleNamespace(name="PCA", reason="a bottleneck"),
        compare=lambda *_: comparison,
        compare_with_baseline=lambda _: comparison,
    )
    parts = {"benchmark": benchmark, "champion": champion, "first": first, "predict": None, "limits": PromotionConfig()}
    return SimpleNamespace(**parts | measured)


def judged(gate: GateFunction, *given: Any, **named: Any) -> Judgement:
    """The judgement of a gate that applies."""
    judgement = gate(contest(*given, **named))
    assert judgement is not None
    return judgement


def diagnosed(*given: Any) -> Judgement:
    return judged(gates.diagnosis, rediagnosis=Rediagnosis(*given))


@pytest.mark.parametrize(("comparison", "outcome"), [(BETTER, "passed"), (WORSE, "failed"), (TIED, "tie")])
def test_champion_and_reference_gates_follow_the_comparison(comparison: Comparison, outcome: str) -> None:
    for name, gate in (("champion", gates.champion), ("reference", gates.reference)):
        (result,) = gates.judge(contest(comparison, CHAMPION), {name: gate})
        assert (result.name, result.outcome) == (name, outcome)
        assert result.numbers["challenger"] == comparison.challenger
        assert result.passes == (outcome == "passed")


def test_a_tie_keeps_the_champion_and_is_reported_as_a_tie() -> None:
    results = gates.judge(contest(TIED, CHAMPION), {"champion": gates.champion})
    assert gates.failed(results) == results
    assert results[0].sentence.startswith("a tie with version 3")


def test_the_reason_for_the_baseline_is_part_of_the_sentence() -> None:
    assert judged(gates.reference, BETTER).sentence.endswith("; a bottleneck")


def test_the_first_promotion_must_be_requested() -> None:
    refused = judged(gates.champion, first=False)
    assert refused.outcome is GateOutcome.FAILED
    assert "--first (first=True in Python)" in refused.sentence
    assert judged(gates.champion, first=True).outcome is GateOutcome.NOT_APPLICABLE


def test_first_does_not_skip_the_comparison_with_a_champion() -> None:
    assert judged(gates.champion, WORSE, CHAMPION, first=True).outcome is GateOutcome.FAILED


def test_a_champion_that_cannot_be_compared_stays() -> None:
    other_data = judged(gates.champion, BETTER, Champion("3", {}, None), first=True)
    assert other_data.outcome is GateOutcome.FAILED
    assert "version 3: it was trained on other data" in other_data.sentence
    no_classes = judged(gates.champion, BETTER, CHAMPION, loss="classification_error")
    assert no_classes.outcome is GateOutcome.FAILED
    assert "it outputs no classes" in no_classes.sentence


def test_other_data_than_the_champions_are_refused_by_their_checksums() -> None:
    assert judged(gates.same_data, champion=CHAMPION).outcome is GateOutcome.PASSED
    other = Champion("3", SAME_DATA | {"sweeps.data.checksum": "b" * 64}, None)
    refused = judged(gates.same_data, champion=other)
    assert refused.outcome is GateOutcome.FAILED
    assert "aaaaaaaaaaaa" in refused.sentence
    assert "bbbbbbbbbbbb" in refused.sentence
    assert judged(gates.same_data, champion=Champion("3", {}, None)).outcome is GateOutcome.FAILED
    assert judged(gates.same_data).outcome is GateOutcome.NOT_APPLICABLE


def test_test_metrics_need_samples_that_the_search_has_not_used_and_finite_values() -> None:
    gate = gates.metrics_on_test
    passed = judged(gate, test_metrics=lambda: {"test/mse": 0.1})
    assert (passed.outcome, passed.sentence) == (GateOutcome.PASSED, "on 10 test samples: test/mse 0.1")
    without = SimpleNamespace(**vars(ARRAYS) | {"test": Split(np.zeros((0, 3)), None)})
    assert "data.n_test" in judged(gate, arrays=without).sentence
    on_test = SimpleNamespace(**vars(ARRAYS) | {"validate_on": "test"})
    used = judged(gate, arrays=on_test, test_metrics=lambda: {"test/mse": 0.1})
    assert (used.outcome, used.numbers) == (GateOutcome.FAILED, {"test/mse": 0.1})
    assert "validate_on" in used.sentence
    broken = judged(gate, test_metrics=lambda: {"test/mse": math.nan})
    assert (broken.outcome, broken.sentence) == (GateOutcome.FAILED, "test/mse must be finite")


def test_a_blocking_finding_is_named_and_others_do_not_block() -> None:
    found = ["over-fitting", "collapsed to the mean"]
    refused = diagnosed(3, 3, found, found)
    assert (refused.outcome, refused.sentence) == (GateOutcome.FAILED, "collapsed to the mean, at epoch 3")
    passed = diagnosed(3, 3, ["over-fitting"], None)
    assert (passed.outcome, passed.sentence) == (GateOutcome.PASSED, "no blocking finding (over-fitting) at epoch 3")
    assert diagnosed(3, 3, [], []).outcome is GateOutcome.PASSED


def test_the_best_epoch_is_judged_and_the_end_of_the_training_is_described() -> None:
    fine = diagnosed(3, 8, [], ["collapsed to the mean"])
    assert fine.outcome is GateOutcome.PASSED
    assert fine.sentence == "no finding at epoch 3; at the end of training, epoch 8: collapsed to the mean"
    poor = diagnosed(1, 8, ["hardly trained: no better than the mean"], [])
    assert poor.outcome is GateOutcome.FAILED
    assert "at epoch 1; at the end of training, epoch 8: no finding" in poor.sentence


def test_diagnoses_that_may_block_are_those_there_are() -> None:
    schema = PromotionConfig.model_json_schema()["properties"]["blocking"]["items"]
    assert set(schema["enum"]) == {str(name) for name in FindingName}


def packaged(n_bytes: int = 0, milliseconds: float = 0.0) -> dict[str, Any]:
    model = SimpleNamespace(size_bytes=n_bytes, latency_ms=lambda _: milliseconds)
    return {"model": model, "some_inputs": np.zeros((1, 3))}


@pytest.mark.parametrize(
    ("gate", "limits", "measured", "outcome"),
    [
        (gates.dead_units, {"max_dead_units": 0.5}, {"dead_unit_share": lambda: 0.5}, "passed"),
        (gates.dead_units, {"max_dead_units": 0.5}, {"dead_unit_share": lambda: 0.51}, "failed"),
        (gates.dead_units, {"max_dead_units": 0.5}, {"dead_unit_share": lambda: math.nan}, "failed"),
        (gates.reloaded, {}, {"reload_difference": lambda: 1e-5}, "passed"),
        (gates.reloaded, {}, {"reload_difference": lambda: 1.1e-5}, "failed"),
        (gates.reloaded, {}, {"reload_difference": lambda: math.nan}, "failed"),
        (gates.size, {"max_size_mb": 2}, packaged(n_bytes=2_000_000), "passed"),
        (gates.size, {"max_size_mb": 2}, packaged(n_bytes=2_000_001), "failed"),
        (gates.latency, {"max_latency_ms": 10}, packaged(milliseconds=10.0), "passed"),
        (gates.latency, {"max_latency_ms": 10}, packaged(milliseconds=10.1), "failed"),
    ],
)
def test_limits_may_be_reached_and_not_exceeded(
    gate: GateFunction, limits: dict[str, Any], measured: dict[str, Any], outcome: str
) -> None:
    judgement = judged(gate, limits=PromotionConfig(**limits), **measured)
    assert judgement.outcome == outcome
    assert ", limit " in judgement.sentence
    assert len(judgement.numbers) == 2


def reseeded(losses: list[float], comparison: Comparison = BETTER, dead_unit_share: float = 0.0) -> Judgement:
    """The judgement of three more seeds, whose median compares so with the baseline and with the champion."""
    sound = Rediagnosis(1, 1, [], [])
    median = contest(comparison, CHAMPION, rediagnosis=sound, dead_unit_share=lambda: dead_unit_share)
    return judged(gates.seeds, reseed=lambda _: Reseeding(3, losses, 2, median))


def test_the_median_seed_must_pass_the_gates_of_a_network() -> None:
    losses = [0.1, 0.2, 0.3]
    passed = reseeded(losses)
    assert passed.outcome is GateOutcome.PASSED
    assert dict(passed.numbers) == {"seed": 2, "seeds": 3, "best": 0.1, "worst": 0.3}
    assert reseeded(losses, TIED).outcome is GateOutcome.TIE
    failed = reseeded(losses, TIED, dead_unit_share=1.0)
    assert failed.outcome is GateOutcome.FAILED
    assert "dead units" in failed.sentence
    assert reseeded(losses[:2]).outcome is GateOutcome.FAILED


def test_every_seed_must_finish() -> None:
    assert reseeded([0.1, 0.2]).sentence == "only 2 of 3 seeds finished"
    none = judged(gates.seeds, reseed=lambda _: Reseeding(3, [], 0, None))
    assert (none.outcome, none.numbers) == (GateOutcome.FAILED, {"seed": 0, "seeds": 0})


def test_a_gate_without_a_judgement_is_left_out_and_the_others_keep_their_order() -> None:
    without = SimpleNamespace(**vars(ARRAYS) | {"test": Split(np.zeros((0, 3)), None)})
    measured = {"rediagnosis": Rediagnosis(1, 1, [], []), "reload_difference": lambda: 0.0} | packaged()
    results = gates.judge(contest(arrays=without, reseed=None, **measured))
    assert [result.name for result in results] == [
        "test metrics", "same data", "diagnosis", "reloaded", "size", "latency"
    ]  # fmt: skip


def test_a_gate_is_plain_json_even_if_a_number_is_nan() -> None:
    result = GateResult("reloaded", *judged(gates.reloaded, reload_difference=lambda: math.nan))
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain == {
        "name": "reloaded",
        "outcome": "failed",
        "sentence": result.sentence,
        "numbers": {"difference": None, "limit": 1e-5},
    }

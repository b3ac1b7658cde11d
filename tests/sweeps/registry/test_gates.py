"""Each gate says passed, failed, tie or not applicable, with its numbers and what to do."""

import json
import math

import pytest

from sweeps.config.promotion import PromotionConfig
from sweeps.models.diagnosis.findings import FindingName
from sweeps.registry import gates
from sweeps.registry.gates import Gate
from sweeps.registry.rediagnosis import Examined
from sweeps.registry.significance import Comparison, Outcome

BETTER = Comparison(0.4, 0.5, -0.12, -0.08, 0.95)
WORSE = Comparison(0.6, 0.5, 0.08, 0.12, 0.95)
TIED = Comparison(0.5, 0.5, -0.01, 0.02, 0.95)
DATA = {"data": "mnist", "checksum": "a" * 64}


@pytest.mark.parametrize(("comparison", "outcome"), [(BETTER, "passed"), (WORSE, "failed"), (TIED, "tie")])
def test_champion_and_reference_gates_follow_the_comparison(comparison: Comparison, outcome: str) -> None:
    for gate in (
        gates.champion(comparison, version="3", first=False),
        gates.reference(comparison, "PCA", "a bottleneck"),
    ):
        assert gate.outcome == outcome
        assert gate.numbers["challenger"] == comparison.challenger
        assert gate.is_open == (outcome == "passed")


def test_a_tie_leaves_the_champion_in_its_place_and_is_called_a_tie() -> None:
    gate = gates.champion(TIED, version="3", first=False)
    assert gates.closed([gate]) == [gate]
    assert gate.sentence.startswith("a tie with version 3")


def test_the_first_promotion_must_be_asked_for() -> None:
    refused = gates.champion(None, version=None, first=False)
    assert refused.outcome is Outcome.FAILED
    assert "--first" in refused.sentence
    assert gates.champion(None, version=None, first=True).outcome is Outcome.NOT_APPLICABLE


def test_first_does_not_spare_the_comparison_with_a_champion() -> None:
    assert gates.champion(WORSE, version="3", first=True).outcome is Outcome.FAILED


def test_a_champion_that_cannot_be_compared_stays() -> None:
    gate = gates.champion(None, version="3", first=True, hindrance="it classifies")
    assert gate.outcome is Outcome.FAILED
    assert "it classifies" in gate.sentence


def test_other_data_than_the_champions_are_refused_by_their_checksums() -> None:
    assert gates.same_data(DATA, DATA).outcome is Outcome.PASSED
    gate = gates.same_data(DATA, DATA | {"checksum": "b" * 64})
    assert gate.outcome is Outcome.FAILED
    assert "aaaaaaaaaaaa" in gate.sentence
    assert "bbbbbbbbbbbb" in gate.sentence
    assert gates.same_data(DATA, {}).outcome is Outcome.FAILED
    assert gates.same_data(DATA, None).outcome is Outcome.NOT_APPLICABLE


def test_test_metrics_need_samples_that_the_search_has_not_seen_and_finite_values() -> None:
    assert gates.fresh_metrics({"test/mse": 0.1}, 10, chosen_on_test=False).outcome is Outcome.PASSED
    assert "data.n_test" in gates.fresh_metrics({}, 0, chosen_on_test=False).sentence
    assert "validate_on" in gates.fresh_metrics({"test/mse": 0.1}, 10, chosen_on_test=True).sentence
    broken = gates.fresh_metrics({"test/mse": math.nan}, 10, chosen_on_test=False)
    assert (broken.outcome, broken.sentence) == (Outcome.FAILED, "test/mse must be finite")


def test_a_blocking_diagnosis_is_told_by_its_name_and_others_do_not_block() -> None:
    blocking = PromotionConfig().blocking
    found = ["over-fitting", "collapsed to the mean"]
    gate = gates.diagnosis(Examined(3, 3, found, found), blocking)
    assert (gate.outcome, gate.sentence) == (Outcome.FAILED, "collapsed to the mean, at epoch 3")
    passed = gates.diagnosis(Examined(3, 3, ["over-fitting"], None), blocking)
    assert (passed.outcome, passed.sentence) == (Outcome.PASSED, "nothing that blocks (over-fitting) at epoch 3")
    assert gates.diagnosis(Examined(3, 3, [], []), blocking).outcome is Outcome.PASSED


def test_the_network_that_won_is_judged_and_the_end_of_its_training_is_told() -> None:
    blocking = PromotionConfig().blocking
    fine = gates.diagnosis(Examined(3, 8, [], ["collapsed to the mean"]), blocking)
    assert fine.outcome is Outcome.PASSED
    assert fine.sentence == "no fault found at epoch 3; at the training's end, epoch 8: collapsed to the mean"
    poor = gates.diagnosis(Examined(1, 8, ["hardly trained: no better than the mean"], []), blocking)
    assert poor.outcome is Outcome.FAILED
    assert "at epoch 1; at the training's end, epoch 8: no fault found" in poor.sentence


def test_diagnoses_that_may_block_are_those_there_are() -> None:
    schema = PromotionConfig.model_json_schema()["properties"]["blocking"]["items"]
    assert set(schema["enum"]) == {str(fault) for fault in FindingName}


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        (gates.dead_units(0.5, 0.5), "passed"),
        (gates.dead_units(0.51, 0.5), "failed"),
        (gates.dead_units(math.nan, 0.5), "failed"),
        (gates.reloaded(1e-5), "passed"),
        (gates.reloaded(1.1e-5), "failed"),
        (gates.reloaded(math.nan), "failed"),
        (gates.size(2_000_000, 2), "passed"),
        (gates.size(2_000_001, 2), "failed"),
        (gates.latency(10.0, 10), "passed"),
        (gates.latency(10.1, 10), "failed"),
    ],
)
def test_limits_may_be_reached_and_not_exceeded(gate: Gate, outcome: str) -> None:
    assert gate.outcome == outcome
    assert len(gate.numbers) == 2


def test_the_median_seed_must_pass_its_own_gates() -> None:
    good, tied = gates.dead_units(0, 1), gates.reference(TIED, "PCA", "")
    losses = [0.1, 0.2, 0.3]
    assert gates.seeds([good], seed=2, losses=losses, n_asked=3).outcome is Outcome.PASSED
    assert gates.seeds([good, tied], seed=2, losses=losses, n_asked=3).outcome is Outcome.TIE
    failed = gates.seeds([gates.dead_units(1, 0.5), tied], seed=2, losses=losses, n_asked=3)
    assert failed.outcome is Outcome.FAILED
    assert "dead units" in failed.sentence
    assert gates.seeds([good], seed=2, losses=losses[:2], n_asked=3).outcome is Outcome.FAILED


def test_a_gate_is_plain_json_also_where_a_number_is_none() -> None:
    gate = gates.reloaded(math.nan)
    plain = json.loads(json.dumps(gate.to_dict(), allow_nan=False))
    assert plain == {
        "name": "reloaded",
        "outcome": "failed",
        "sentence": gate.sentence,
        "numbers": {"difference": None, "limit": 1e-5},
    }

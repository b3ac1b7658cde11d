"""Findings counted by setting: a planted collapse is found, and chance is not reported."""

import numpy as np
import pytest
from planted_sweeps import COLLAPSED, PlantedTrial, collapsing_sweep, draw_points, planted_config, record
from scipy.stats import fisher_exact

from sweeps.analysis.failures import failures
from sweeps.analysis.splits import telling_split
from sweeps.tracking.journal.records import PointState

SEARCH = {"model.hidden_l1": {"loguniform": [1e-4, 1e-1]}, "model.activation": {"choice": ["relu", "elu", "tanh"]}}
NOTE = {"name": "identity copied", "severity": "note", "evidence": {}, "advice": "None."}


def test_a_collapse_above_a_threshold_is_found() -> None:
    result = collapsing_sweep(16, threshold=3e-3)
    (count,) = failures(result).findings
    frame = result.trials()
    has_it, penalty = frame["findings"] == "collapsed to the mean", frame["model.hidden_l1"]
    assert (count.name, count.severity) == ("collapsed to the mean", "failure")
    assert (count.n_trials, count.n_diagnosed) == (has_it.sum(), 16)
    assert count.split is not None
    assert (count.split.path, count.split.side) == ("model.hidden_l1", "above")
    assert penalty[~has_it].max() < count.split.value < penalty[has_it].min()
    assert count.split.sentence("collapsed") == (
        f"8 of 8 trials with model.hidden_l1 above {count.split.value:.3g} collapsed, 0 of 8 at or below it"
    )
    assert "have the finding 'collapsed to the mean'" in count.sentence
    exact = fisher_exact([[8, 0], [0, 8]]).pvalue
    # 15 thresholds of each of three ranges, and 2 of three sizes.
    assert count.split.p_value == pytest.approx(exact * (3 * 15 + 2))


def test_a_telling_choice_is_found_below_and_at() -> None:
    points = draw_points(SEARCH, 40)
    trials = [
        PlantedTrial(point, [{"valid/mse": 1.0}], diagnosis=[COLLAPSED] * (point["model.activation"] == "tanh"))
        for point in points
    ]
    (count,) = failures(record(planted_config(SEARCH), trials)).findings
    assert count.split is not None
    assert (count.split.path, count.split.side, count.split.value) == ("model.activation", "at", "tanh")


def test_findings_by_chance_have_no_split() -> None:
    generator, n_false, n_sweeps = np.random.default_rng(1), 0, 200
    result = record(
        planted_config(SEARCH), [PlantedTrial(point, [{"valid/mse": 1.0}]) for point in draw_points(SEARCH, 16)]
    )
    for _ in range(n_sweeps):
        n_false += telling_split(result, result.points, list(generator.random(16) < 0.5)) is not None
    assert n_false <= 0.05 * n_sweeps


def test_a_low_value_that_fails_is_below() -> None:
    trials = [
        PlantedTrial(
            point,
            [{"valid/mse": 1.0}],
            state=PointState.FAILED if point["model.hidden_l1"] < 1e-3 else PointState.FINISHED,
            reason="diverged" if index % 2 else "out of memory",
        )
        for index, point in enumerate(draw_points(SEARCH, 30))
    ]
    result = record(planted_config(SEARCH), trials)
    found, frame = failures(result), result.trials()
    assert found.failed_split is not None
    assert (found.failed_split.path, found.failed_split.side) == ("model.hidden_l1", "below")
    reasons = frame.loc[frame["state"] == "FAILED", "reason"].value_counts()
    assert {reason.reason: reason.n_trials for reason in found.failed} == reasons.to_dict()


def test_notes_are_not_counted_and_early_stops_are_with_what_they_saved() -> None:
    stopped = {"sweeps.stopped_early": "asha"}
    point = {"model.hidden_l1": 1e-3, "model.activation": "relu"}
    trials = [
        PlantedTrial(point, [{"valid/mse": 1.0}] * 3, tags=stopped, diagnosis=[NOTE]),
        PlantedTrial(point, [{"valid/mse": 1.0}] * 4, tags=stopped),
        PlantedTrial(point, [{"valid/mse": 1.0}] * 10),
    ]
    found = failures(record(planted_config(SEARCH), trials))
    assert found.findings == ()
    (early,) = found.stopped_early
    assert (early.rule, early.n_trials, early.saved_epochs) == ("asha", 2, 7 + 6)

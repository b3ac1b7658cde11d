"""Importance says what was planted: shares of the variance known in closed form, and a setting that does nothing."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from planted_sweeps import PlantedTrial, additive_sweep, draw_points, planted_config, record
from scipy.stats import f_oneway, rankdata

from sweeps.analysis.axes import Axis
from sweeps.analysis.effect_tests import effect_p_values, holm
from sweeps.analysis.importance import importances, importances_of
from sweeps.tracking.journal.records import PointState

UNIFORM = Axis("x", False, False, 0.0, 1.0)


def test_shares_are_those_of_an_additive_objective() -> None:
    found = importances(additive_sweep(200))
    shares = {setting.path: setting for setting in found.settings}
    # 3 u + v with u and v uniform: variances of 9/12 and 1/12.
    assert shares["model.noise.level"].fanova == pytest.approx(0.9, abs=0.05)
    assert shares["model.weight_l1"].fanova == pytest.approx(0.1, abs=0.05)
    assert [setting.path for setting in found.settings if setting.matters] == ["model.noise.level", "model.weight_l1"]
    assert shares["model.hidden_l1"].fanova < 0.01
    assert shares["model.hidden_size"].fanova < 0.01
    assert sum(setting.ped_anova for setting in found.settings) == pytest.approx(1)
    assert max(found.settings, key=lambda setting: setting.ped_anova).path == "model.noise.level"
    assert (found.n_trials, found.n_sampled) == (200, 120)


def test_sentence_names_what_matters_and_says_what_does_not() -> None:
    found = importances(additive_sweep(64))
    first, second = found.settings[:2]
    assert found.sentence == (
        f"`model.noise.level` explains {100 * first.fanova:.0f} % (± {100 * first.fanova_std:.0f}) of the differences, "
        f"`model.weight_l1` {100 * second.fanova:.0f} % (± {100 * second.fanova_std:.0f}); "
        "the others have no significant effect."
    )
    json.dumps(asdict(found))


def test_too_few_trials_give_words_and_no_number() -> None:
    found = importances(additive_sweep(9))
    assert found.settings == ()
    assert found.sentence == "No importance is reported: 9 ranked trials are too few: at least 10 are needed."


def test_failed_and_killed_trials_and_constant_settings_are_left_out() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}, "model.activation": {"choice": ["relu"]}}
    points = draw_points(search, 16)
    trials = [PlantedTrial(point, [{"valid/mse": point["model.noise.level"]}]) for point in points]
    plain = importances(record(planted_config(search), trials))
    lost = [PlantedTrial(point, [{"valid/mse": 1e6}], state=PointState.FAILED) for point in points]
    assert importances(record(planted_config(search, 32), trials + lost)) == plain
    assert plain.constant == ("model.activation",)
    assert [setting.path for setting in plain.settings] == ["model.noise.level"]


def test_order_of_the_trials_does_not_matter() -> None:
    result = additive_sweep(24, noise=0.3)
    shuffled = replace(result, ranking=[result.ranking[index] for index in np.random.default_rng(0).permutation(24)])
    assert importances(shuffled) == importances(result)


def test_importance_of_a_maximized_objective_is_that_of_its_negative() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}, "model.weight_l1": {"loguniform": [1e-6, 1e-2]}}
    points = draw_points(search, 20)
    values = [point["model.noise.level"] for point in points]
    down = record(
        planted_config(search), [PlantedTrial(p, [{"valid/mse": v}]) for p, v in zip(points, values, strict=True)]
    )
    objective = {"metric": "valid/r2"}
    trials = [PlantedTrial(p, [{"valid/r2": -v}]) for p, v in zip(points, values, strict=True)]
    up = record(planted_config(search, objective=objective), trials)
    for one, other in zip(importances(down).settings, importances(up).settings, strict=True):
        assert one.path == other.path
        assert one.ped_anova == pytest.approx(other.ped_anova)
        assert one.p_value == pytest.approx(other.p_value)


def test_each_of_several_objectives_has_its_own_importance() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 0.5]}, "model.weight_l1": {"loguniform": [1e-6, 1e-2]}}
    trials = [
        PlantedTrial(
            point,
            [{"valid/mse": point["model.noise.level"], "valid/code_sparsity": float(np.log(point["model.weight_l1"]))}],
        )
        for point in draw_points(search, 20)
    ]
    result = record(
        planted_config(search, objective=[{"metric": "valid/mse"}, {"metric": "valid/code_sparsity"}]), trials
    )
    assert importances(result, 0).settings[0].path == "model.noise.level"
    assert importances(result, 1).settings[0].path == "model.weight_l1"


def test_several_sweeps_are_taken_together() -> None:
    halves = [additive_sweep(8, seed=3), additive_sweep(8, seed=9)]
    assert importances(halves[0]).too_few is not None
    merged = importances_of(halves)
    assert merged.n_trials == 16
    assert merged.settings[0].path == "model.noise.level"


def test_p_value_is_that_of_an_analysis_of_variance_on_ranks() -> None:
    generator = np.random.default_rng(0)
    groups, values = generator.integers(0, 3, 30), generator.normal(size=30)
    axis = Axis("c", False, False, 0.0, 2.0, ("a", "b", "c"), False)
    (p_value,), _ = effect_p_values([axis], groups[:, None].astype(float), values, 0.05)
    ranks = rankdata(values)
    assert p_value == pytest.approx(f_oneway(*(ranks[groups == group] for group in range(3))).pvalue)


def test_a_setting_without_effect_is_rarely_said_to_matter() -> None:
    generator = np.random.default_rng(0)
    n_sweeps, n_false = 1000, 0
    for _ in range(n_sweeps):
        places = generator.random((16, 3))
        # The first setting has an effect; that any other is said to have one is a false alarm.
        objective = 2 * places[:, 0] + generator.normal(size=16)
        _, matters = effect_p_values([UNIFORM] * 3, places, objective, 0.05)
        n_false += any(matters[1:])
    # At the stated level of 5 %, more than 70 of 1,000 have a probability of 0.2 %.
    assert n_false <= 70


def test_holm_rejects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03], 0.05) == [True, False, False]
    assert holm([0.01, 0.02, 0.04], 0.05) == [True, True, True]
    assert holm([], 0.05) == []

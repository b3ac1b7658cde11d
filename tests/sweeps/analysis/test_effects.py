"""Slices against the trials, and the surface against the objective that was planted."""

import numpy as np
import pytest
from planted_sweeps import PlantedTrial, additive_error, additive_sweep, draw_points, planted_config, record

from sweeps.analysis import effects as module
from sweeps.analysis.effects import effects

SEARCH = {"model.noise.level": {"uniform": [0.0, 0.5]}, "model.weight_l1": {"loguniform": [1e-6, 1e-2]}}


def test_slices_are_the_columns_of_the_trials() -> None:
    result = additive_sweep(16)
    frame = result.trials()
    slices = effects(result).slices
    assert [part.path for part in slices] == list(result.config.search)
    for part in slices:
        assert list(part.trials) == list(frame.index)
        assert list(part.values) == list(frame[part.path])
        assert list(part.objectives) == list(frame["valid/mse"])


def test_surface_is_the_planted_one() -> None:
    surface = effects(additive_sweep(40)).surface
    assert surface is not None
    assert (surface.x, surface.y) == ("model.noise.level", "model.weight_l1")
    assert (surface.x_is_log, surface.y_is_log) == (False, True)
    assert surface.skill > 0.99
    planted = [
        [1 + additive_error({"model.noise.level": x, "model.weight_l1": y}) for x in surface.x_values]
        for y in surface.y_values
    ]
    np.testing.assert_allclose(surface.predicted, planted, atol=0.1)


def test_an_objective_of_noise_has_no_surface() -> None:
    values = np.random.default_rng(0).normal(size=20)
    trials = [
        PlantedTrial(point, [{"valid/mse": float(value)}])
        for point, value in zip(draw_points(SEARCH, 20), values, strict=True)
    ]
    found = effects(record(planted_config(SEARCH), trials))
    assert found.surface is None
    assert found.why_no_surface is not None
    assert "explains" in found.why_no_surface


def test_skill_is_that_of_leaving_each_trial_out() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.random((12, 2))
    objective = inputs[:, 0] ** 2 + generator.normal(size=12) * 0.1
    model, skill = module._fit(inputs, objective)
    scaled = (objective - objective.mean()) / objective.std()
    errors = []
    for index in range(12):
        rest = np.arange(12) != index
        covariance = model.kernel_(inputs[rest])
        across = model.kernel_(inputs)[index, rest]
        errors.append(scaled[index] - across @ np.linalg.solve(covariance, scaled[rest]))
    assert skill == pytest.approx(1 - np.mean(np.square(errors)))

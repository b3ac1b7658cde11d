"""Two sweeps side by side: a planted difference is seen, equal sweeps are not told apart."""

import numpy as np
import pytest
from planted_sweeps import PlantedTrial, draw_points, planted_config, record

from sweeps.analysis.comparison import Difference, compare
from sweeps.tracking.sweep_result import SweepResult

SEARCH = {"model.noise.level": {"uniform": [0.0, 0.5]}}


def sweep(values: np.ndarray, metric: str = "valid/mse", epochs: int = 10) -> SweepResult:
    points = draw_points(SEARCH, len(values))
    trials = [PlantedTrial(p, [{metric: float(v)}]) for p, v in zip(points, values, strict=True)]
    training = {"epochs": epochs, "probe_samples": 0}
    return record(planted_config(SEARCH, len(values), objective={"metric": metric}, training=training), trials)


def test_a_better_sweep_is_said_to_be_better() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(1.0, 0.1, 12), generator.normal(0.8, 0.1, 9)
    found = compare(sweep(first), sweep(second, epochs=20))
    assert found.win_probability == pytest.approx(np.mean(second[None, :] < first[:, None]))
    assert found.verdict.startswith("Trials of the second sweep tend to be better")
    assert found.best == (first.min(), second.min())
    assert found.medians == (pytest.approx(np.median(first)), pytest.approx(np.median(second)))
    assert Difference("training.epochs", 10, 20) in found.differences
    assert compare(sweep(second), sweep(first)).verdict.startswith("Trials of the first sweep tend to be better")


def test_higher_values_of_a_maximized_objective_are_better() -> None:
    found = compare(sweep(np.linspace(0.1, 0.2, 8), "valid/r2"), sweep(np.linspace(0.8, 0.9, 8), "valid/r2"))
    assert (found.win_probability, found.best) == (1.0, (0.2, 0.9))


def test_equal_sweeps_and_few_trials_have_no_winner() -> None:
    values = np.linspace(0.1, 0.2, 8)
    same = compare(sweep(values), sweep(values))
    assert same.win_probability == 0.5
    assert "cannot be told apart" in same.verdict
    assert same.differences == ()
    assert compare(sweep(values), sweep(values[:4])).verdict.startswith("No verdict")


def test_other_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="both sweeps must have the objective valid/mse, not valid/r2"):
        compare(sweep(np.ones(5)), sweep(np.ones(5), "valid/r2"))

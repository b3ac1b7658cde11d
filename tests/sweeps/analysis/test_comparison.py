import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_sweeps import PlantedTrial, planted_config, record
from scipy import stats

from sweeps.analysis.comparison import compare, holm
from sweeps.cli.display.comparison import print_comparison
from sweeps.config import SweepConfig
from sweeps.errors import InputError

values = st.lists(st.integers(0, 20).map(lambda value: value / 20), min_size=1, max_size=12)


@dataclass(frozen=True)
class Record:
    dataset: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    trial: str
    metrics: dict[str, float]
    point: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a comparison reads of a sweep's result."""

    sweep: str
    config: SweepConfig
    ranking: list[Trial]
    record: Record

    @property
    def objective_metrics(self) -> tuple[str, ...]:
        return tuple(objective.metric for objective in self.config.objectives)


def result(name: str, losses: list[float], *, metric: str = "valid/mse", data: str = "a", **training: Any) -> Any:
    direction = "maximize" if metric == "valid/r2" else "minimize"
    document = {
        "name": name,
        "data": {"name": "digits"},
        "model": {"name": "shallow"},
        "training": training,
        "search": {"model.hidden_size": {"choice": [8, 16]}},
        "objective": {"metric": metric, "direction": direction},
        "budget": {"trials": 8},
    }
    ranked = sorted(enumerate(losses), key=lambda pair: pair[1], reverse=direction == "maximize")
    trials = [Trial(f"{number:04d}", {metric: loss}) for number, loss in ranked]
    return Result(name, SweepConfig.from_dict(document), trials, Record({"checksum": data}))


def test_only_settings_that_differ_are_named_with_their_values() -> None:
    found = compare([result("a", [0.1], epochs=3, batch_size=10), result("b", [0.2], epochs=3)])
    assert found.differing == {"training.batch_size": ["10", None]}


@given(values, values)
def test_probability_and_distribution_are_those_of_all_pairs(mine: list[float], theirs: list[float]) -> None:
    found = compare([result("a", mine), result("b", theirs)])
    wins = [1.0 if b < a else 0.5 if a == b else 0.0 for a, b in itertools.product(mine, theirs)]
    (verdict,) = found.verdicts
    assert verdict.probability_better == pytest.approx(np.mean(wins))
    assert verdict.p_value == pytest.approx(stats.mannwhitneyu(mine, theirs).pvalue, nan_ok=True)
    first = found.distributions[0]
    assert (first.best, first.median, first.worst) == pytest.approx((min(mine), np.median(mine), max(mine)))
    assert mine[int(first.best_trial or "")] == min(mine)


def test_a_maximized_objective_is_better_when_it_is_higher() -> None:
    found = compare([result("a", [0.1, 0.2], metric="valid/r2"), result("b", [0.8, 0.9], metric="valid/r2")])
    assert found.verdicts[0].probability_better == 1.0
    assert [shown.best for shown in found.distributions] == [0.2, 0.9]
    assert [shown.lower_quartile > shown.upper_quartile for shown in found.distributions] == [True, True]


def test_a_planted_difference_is_found_and_equal_sweeps_are_not_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    draws = random.normal(0.5, 0.05, (3, 16))
    sweeps = [result("old", list(draws[0])), result("same", list(draws[1])), result("new", list(draws[2] - 0.2))]
    found = compare(sweeps)
    assert found.verdicts[0].in_words.startswith("no significant difference: a random trial of same beats")
    assert found.verdicts[1].in_words.startswith(
        "the trials of new are significantly better: a random trial of new beats a random trial of old"
    )
    print_comparison(found)
    printed = capsys.readouterr().out
    assert found.verdicts[1].in_words in printed.replace("\n", " ")
    assert printed.count("M") == 3, "one box for each sweep"


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_corrects_as_by_its_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    expected = {
        place: min(1.0, max((len(order) - k) * p_values[order[k]] for k in range(passed + 1)))
        for passed, place in enumerate(order)
    }
    assert holm(p_values) == pytest.approx([expected[place] for place in range(len(p_values))])


def test_importance_is_that_of_all_trials_together(capsys: pytest.CaptureFixture[str]) -> None:
    choices = [{"choice": [8, 16]}, {"choice": [16, 32, 64]}]
    sizes = {"model.hidden_size": choices[0]}, {"model.hidden_size": choices[1]}
    noise = np.random.default_rng(0).normal(0, 0.01, (2, 12))
    results = []
    for search, errors in zip(sizes, noise, strict=True):
        values = search["model.hidden_size"]["choice"]
        trials = [
            PlantedTrial({"model.hidden_size": size}, [{"valid/mse": 1 / size + error}])
            for size, error in zip(values * 12, errors, strict=False)
        ]
        results.append(record(planted_config(search), trials))
    found = compare(results)
    assert found.importance is not None
    assert found.importance.n_trials == 24
    assert found.importance.settings[0].matters
    print_comparison(found)
    assert "In all of them together: `model.hidden_size` explains" in " ".join(capsys.readouterr().out.split())


def test_a_sweep_without_ranked_trials_has_no_verdict() -> None:
    found = compare([result("a", []), result("b", [0.1])])
    assert math.isnan(found.verdicts[0].p_value)
    assert "one of them ranks no trial" in found.verdicts[0].in_words
    assert found.to_dict()["verdicts"][0]["p_value"] is None
    print_comparison(found)


def test_sweeps_that_cannot_be_compared_get_no_verdict() -> None:
    with pytest.raises(InputError, match="must have the same first objective"):
        compare([result("a", [0.1]), result("b", [0.1], metric="valid/r2")])
    found = compare([result("a", [0.1]), result("b", [0.3], data="b")])
    assert found.verdicts == []
    assert "measured on other data" in (found.incomparable or "")

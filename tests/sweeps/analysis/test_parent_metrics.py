"""The parent run's metrics from the analysis of its sweep."""

from typing import Any

import pytest
from planted_sweeps import additive_sweep

from sweeps.analysis import parent_metrics
from sweeps.analysis.importance import importances


class Recorded(list[tuple[int, dict[str, float]]]):
    """A journal that keeps what is recorded of the whole sweep."""

    def record_progress(self, n_ended: int, metrics: dict[str, float], time_ms: int) -> None:
        self.append((n_ended, metrics))


def test_the_importance_of_each_setting_is_recorded_at_the_number_of_ended_trials() -> None:
    result = additive_sweep(16)
    recorded: Any = Recorded()
    parent_metrics.record_analysis(recorded, result, 1)
    found = importances(result).settings
    assert found
    assert recorded == [(16, {f"importance/{setting.path}": setting.fanova for setting in found})]


def test_too_few_trials_record_no_importance() -> None:
    recorded: Any = Recorded()
    parent_metrics.record_analysis(recorded, additive_sweep(3), 1)
    assert recorded == []


def test_an_analysis_that_fails_is_logged_and_fails_no_sweep(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ArithmeticError("no forest")

    monkeypatch.setattr(parent_metrics, "importances", fail)
    recorded: Any = Recorded()
    parent_metrics.record_analysis(recorded, additive_sweep(3), 1)
    assert "ArithmeticError: no forest" in caplog.text
    assert recorded == []

"""A sweep's journal has its best objectives after each trial that ended, whatever came first, and after a resume."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import ObjectiveConfig
from sweeps.tracking.best_so_far import BestSoFar
from sweeps.tracking.journal.records import BestEpoch, PointState
from sweeps.tracking.results import SweepResult
from sweeps.tracking.resume_state import ResumeState

OBJECTIVES: dict[str, Any] = {"objective": [{"metric": "valid/mse"}, {"metric": "valid/r2", "direction": "maximize"}]}


class Recorded(list[tuple[int, dict[str, float]]]):
    """A journal that keeps what is recorded of the whole sweep."""

    def record_progress(self, n_ended: int, metrics: dict[str, float], time_ms: int) -> None:
        self.append((n_ended, metrics))


def ended_with(error: float, r2: float = 0.0) -> BestEpoch:
    return BestEpoch(1, {"valid/mse": error, "valid/r2": r2, "valid/mae": 9.0}, {})


def record_all(so_far: BestSoFar, bests: list[BestEpoch | None]) -> Recorded:
    recorded: Any = Recorded()
    for best in bests:
        so_far.record(recorded, best, 0)
    return recorded


def test_the_best_stays_until_a_better_one_ends(small_sweep: Callable[..., Any]) -> None:
    so_far = BestSoFar(ResumeState(), small_sweep().objectives)
    recorded = record_all(so_far, [None, ended_with(0.5), ended_with(0.7), None, ended_with(0.2)])
    bests = ((2, 0.5), (3, 0.5), (4, 0.5), (5, 0.2))
    assert recorded == [(n, {"best/valid/mse": error, "best_so_far/valid/mse": error}) for n, error in bests]


def test_each_objective_of_the_leading_trial_is_recorded(small_sweep: Callable[..., Any]) -> None:
    so_far = BestSoFar(ResumeState(), small_sweep(**OBJECTIVES).objectives)
    (recorded,) = record_all(so_far, [ended_with(0.5, 0.25)])
    values = {"valid/mse": 0.5, "valid/r2": 0.25}
    assert recorded == (1, {f"{prefix}/{name}": v for prefix in ("best", "best_so_far") for name, v in values.items()})


def test_each_objective_has_its_own_best_so_far(small_sweep: Callable[..., Any]) -> None:
    so_far = BestSoFar(ResumeState(), small_sweep(**OBJECTIVES).objectives)
    recorded = record_all(so_far, [ended_with(0.5, 0.25), ended_with(0.7, 0.75), ended_with(0.4, 0.1)])
    own = [[metrics[f"best_so_far/{name}"] for name in ("valid/mse", "valid/r2")] for _, metrics in recorded]
    assert own == [[0.5, 0.25], [0.5, 0.75], [0.4, 0.75]]
    leader = [[metrics[f"best/{name}"] for name in ("valid/mse", "valid/r2")] for _, metrics in recorded]
    assert leader == [[0.5, 0.25], [0.5, 0.25], [0.4, 0.1]]


@given(st.lists(st.none() | st.tuples(st.integers(0, 5), st.integers(-5, 5)), max_size=12), st.data())
def test_bests_are_those_of_numpy_and_the_same_after_a_resume(
    values: list[tuple[int, int] | None], data: st.DataObject
) -> None:
    objectives = [ObjectiveConfig(**objective) for objective in OBJECTIVES["objective"]]
    bests = [None if value is None else ended_with(float(value[0]), float(value[1])) for value in values]
    recorded = record_all(BestSoFar(ResumeState(), objectives), bests)
    for n_ended, metrics in recorded:
        errors, r2s = zip(*(value for value in values[:n_ended] if value is not None), strict=True)
        assert metrics["best_so_far/valid/mse"] == np.min(errors)
        assert metrics["best_so_far/valid/r2"] == np.max(r2s)
        assert (metrics["best/valid/mse"], metrics["best/valid/r2"]) == min(
            zip(errors, r2s, strict=True), key=lambda pair: (pair[0], -pair[1])
        )
    n_before = data.draw(st.integers(0, len(bests)))
    ended = [SimpleNamespace(epoch=1, metrics=best.metrics) for best in bests[:n_before] if best is not None]
    state: Any = SimpleNamespace(ended_ids=range(n_before), result=SimpleNamespace(ranking=ended))
    assert record_all(BestSoFar(state, objectives), bests[n_before:]) == [r for r in recorded if r[0] > n_before]


@pytest.mark.parametrize("error", [0.4, 0.6])
def test_a_resumed_sweep_continues_from_its_best(write_result: Callable[..., SweepResult], error: float) -> None:
    states = {"b": PointState.FAILED, "c": PointState.KILLED}
    result = write_result({"a": [{"valid/mse": 0.5}], "b": [], "c": []}, states=states)
    recorded = record_all(BestSoFar(ResumeState(result=result), result.config.objectives), [ended_with(error)])
    best = min(error, 0.5)
    assert recorded == [(3, {"best/valid/mse": best, "best_so_far/valid/mse": best})]


def test_a_resumed_sweep_without_a_ranked_trial_has_no_best_yet(write_result: Callable[..., SweepResult]) -> None:
    result = write_result({"a": []}, states={"a": PointState.FAILED})
    assert record_all(BestSoFar(ResumeState(result=result), result.config.objectives), [None]) == []

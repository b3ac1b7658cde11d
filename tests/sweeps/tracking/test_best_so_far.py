"""A sweep's journal has its best objectives after each trial that ended, whatever came first, and after a resume."""

from collections.abc import Callable
from typing import Any

import pytest

from sweeps.tracking.best_so_far import BestSoFar
from sweeps.tracking.journal.records import BestEpoch, PointState
from sweeps.tracking.results import SweepResult
from sweeps.tracking.resume_state import ResumeState

OBJECTIVES = {"objective": [{"metric": "valid/mse"}, {"metric": "valid/r2", "direction": "maximize"}]}


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
    assert recorded == [(n, {"best/valid/mse": error}) for n, error in ((2, 0.5), (3, 0.5), (4, 0.5), (5, 0.2))]


def test_each_objective_of_the_leading_trial_is_recorded(small_sweep: Callable[..., Any]) -> None:
    so_far = BestSoFar(ResumeState(), small_sweep(**OBJECTIVES).objectives)
    (recorded,) = record_all(so_far, [ended_with(0.5, 0.25)])
    assert recorded == (1, {"best/valid/mse": 0.5, "best/valid/r2": 0.25})


@pytest.mark.parametrize("error", [0.4, 0.6])
def test_a_resumed_sweep_continues_from_its_best(write_result: Callable[..., SweepResult], error: float) -> None:
    states = {"b": PointState.FAILED, "c": PointState.KILLED}
    result = write_result({"a": [{"valid/mse": 0.5}], "b": [], "c": []}, states=states)
    recorded = record_all(BestSoFar(ResumeState(result=result), result.config.objectives), [ended_with(error)])
    assert recorded == [(3, {"best/valid/mse": min(error, 0.5)})]


def test_a_resumed_sweep_without_a_ranked_trial_has_no_best_yet(write_result: Callable[..., SweepResult]) -> None:
    result = write_result({"a": []}, states={"a": PointState.FAILED})
    assert record_all(BestSoFar(ResumeState(result=result), result.config.objectives), [None]) == []

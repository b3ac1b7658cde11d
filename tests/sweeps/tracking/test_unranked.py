"""A sweep that ranks no trial says why, and has failed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.results import SweepResult
from sweeps.tracking.sweep_end import state_of
from sweeps.tracking.unranked import why_unranked

WriteResult = Callable[..., SweepResult]
PROBE = {"training": {"epochs": 2}, "objective": {"metric": "valid/probe_error"}}


@pytest.fixture(autouse=True)
def _journal_of_write_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(_folder: Any) -> Journal:
        return Journal.open(tmp_path / "journal-0.db", read_only=True)

    monkeypatch.setattr("sweeps.tracking.unranked.read_journal", read)


def test_a_sweep_that_measured_none_of_its_objective_has_failed(write_result: WriteResult) -> None:
    result = write_result({"a": [{"valid/mse": 1.0}, {"valid/mse": 0.5}]}, **PROBE)
    assert result.points[0].state is PointState.FINISHED
    assert state_of(result, interrupted=False) is SweepState.FAILED
    why = why_unranked(result)
    assert why is not None
    assert "no trial has a value of valid/probe_error: 1 finished, and none measured valid/probe_error" in why
    assert "without any" in why  # this data set has no recorded classes


def test_one_ranked_trial_is_enough(write_result: WriteResult) -> None:
    result = write_result({"a": [{"valid/mse": 1.0}], "b": [{"valid/probe_error": 0.5}]}, **PROBE)
    assert state_of(result, interrupted=False) is SweepState.FINISHED
    assert why_unranked(result) is None


@pytest.mark.parametrize(
    ("history", "states", "state", "said"),
    [
        ([{"valid/mse": float("nan")}], {}, SweepState.FAILED, "it was never finite"),
        ([], {"a": PointState.RUNNING}, None, "no trial has finished yet"),
        ([], {"a": PointState.KILLED}, SweepState.INTERRUPTED, "no trial has finished yet"),
        ([], {"a": PointState.FAILED}, SweepState.FAILED, "no trial finished, 1 failed; trial a: "),
        ([], {"a": PointState.KILLED}, SweepState.FAILED, "none trained long enough"),
        ([{"train/loss": 1.0}], {}, SweepState.FAILED, "Run it again with one of train/loss"),
    ],
)
def test_the_reason_fits_what_the_trials_did(
    write_result: WriteResult, history: list[Any], states: dict[str, PointState], state: SweepState | None, said: str
) -> None:
    why = why_unranked(write_result({"a": history}, states=states, state=state))
    assert why is not None
    assert said in why

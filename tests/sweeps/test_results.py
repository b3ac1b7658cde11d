"""Results read from a journal."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.config import SweepConfig
from sweeps.results import SweepResult, read_result
from sweeps.tracking.journal import Journal
from sweeps.tracking.records import PointRecord, PointState, SweepRecord, SweepState

Histories = dict[str, list[dict[str, float]]]
Write = Callable[..., SweepResult]


@pytest.fixture
def write(tmp_path: Path, small_sweep: Callable[..., SweepConfig]) -> Iterator[Write]:
    """The result of a sweep whose points have these metrics by epoch, all FINISHED unless `states` says otherwise."""
    journals = []

    def make(
        histories: Histories,
        *,
        states: dict[str, PointState] | None = None,
        state: SweepState | None = SweepState.FINISHED,
        **sections: Any,
    ) -> SweepResult:
        config = small_sweep(**sections)
        record = SweepRecord("small-1", "small", "small", config.to_dict(), 0)
        journal = Journal.create(tmp_path / f"journal-{len(journals)}.db", record)
        journals.append(journal)
        for index, (point_id, history) in enumerate(histories.items()):
            journal.start_point(PointRecord(point_id, index, {"model.hidden_size": index}, f"h={index}", index))
            for epoch, metrics in enumerate(history, start=1):
                journal.record_epoch(point_id, epoch, metrics, epoch)
            end = (states or {}).get(point_id, PointState.FINISHED)
            if end is not PointState.RUNNING:
                journal.end_point(point_id, end, None, {}, 10)
        if state is not None:
            journal.end_sweep(state, "", {}, 20)
        return read_result(journal)

    yield make
    for journal in journals:
        journal.close()


def mse(*values: float) -> list[dict[str, float]]:
    return [{"valid/mse": value} for value in values]


def test_trials_are_ranked_at_their_best_epoch(write: Write) -> None:
    result = write({"a": mse(3, 2, 4), "b": mse(9, 1, 9)})
    assert [(trial.trial, trial.epoch) for trial in result.ranking] == [("b", 2), ("a", 2)]


def test_trials_are_ranked_at_their_last_epoch_where_asked(write: Write) -> None:
    result = write({"a": mse(3, 2, 4), "b": mse(9, 1, 9)}, objective={"metric": "valid/mse", "at": "last"})
    assert [(trial.trial, trial.epoch) for trial in result.ranking] == [("a", 3), ("b", 3)]


def test_failed_and_killed_trials_are_not_ranked(write: Write) -> None:
    states = {"a": PointState.FAILED, "b": PointState.KILLED}
    result = write({"a": mse(1), "b": mse(2), "c": mse(3)}, states=states)
    assert [trial.trial for trial in result.ranking] == ["c"]


def test_nan_never_wins(write: Write) -> None:
    assert write({"a": mse(math.nan, math.nan), "b": mse(5)}).best.trial == "b"  # type: ignore[union-attr]


def test_several_objectives_give_a_front(write: Write) -> None:
    objectives = [{"metric": "valid/mse", "at": "last"}, {"metric": "valid/code_sparsity", "at": "last"}]
    points = {"a": (1.0, 0.1), "b": (2.0, 0.9), "c": (3.0, 0.5)}
    histories = {k: [{"valid/mse": error, "valid/code_sparsity": s}] for k, (error, s) in points.items()}
    result = write(histories, objective=objectives)
    assert {trial.trial for trial in result.front} == {"a", "b"}
    assert [trial["trial"] for trial in result.to_dict()["front"]] == [trial.trial for trial in result.front]


@pytest.mark.parametrize(
    ("state", "states", "status"),
    [
        (SweepState.FINISHED, {}, 0),
        (SweepState.FAILED, {"a": PointState.FAILED, "b": PointState.FAILED}, 1),
        (SweepState.FINISHED, {"a": PointState.FAILED}, 3),
        (SweepState.INTERRUPTED, {"a": PointState.KILLED}, 130),
    ],
)
def test_exit_status_follows_the_contract(
    write: Write, state: SweepState, states: dict[str, PointState], status: int
) -> None:
    assert write({"a": mse(1), "b": mse(2)}, state=state, states=states).exit_status == status


def test_running_sweep_counts_what_is_to_come(write: Write) -> None:
    space = {"model.hidden_size": {"choice": [8, 16]}}
    states = {"b": PointState.RUNNING}
    overview = write(
        {"a": mse(1), "b": mse(2)}, state=None, states=states, search=space, budget={"trials": 5}
    ).overview()
    assert (overview["state"], overview["trials"], overview["running"], overview["to_come"]) == ("RUNNING", 2, 1, 3)


def test_result_is_plain_json(write: Write) -> None:
    assert json.loads(json.dumps(write({"a": mse(1)}).to_dict(top=3)))["best"]["metrics"] == {"valid/mse": 1}


def test_finalist_is_the_best_trial(write: Write) -> None:
    assert [trial.trial for trial in write({"a": mse(3), "b": mse(1), "c": mse(2)}).finalists] == ["b"]
    assert write({"a": []}).finalists == []


def test_finalists_are_at_most_ten_of_a_front(write: Write) -> None:
    objectives = [{"metric": "valid/mse"}, {"metric": "valid/dead_units"}]
    histories = {f"{k:02d}": [{"valid/mse": 20.0 - k, "valid/dead_units": float(k)}] for k in range(14)}
    histories["beaten"] = [{"valid/mse": 30.0, "valid/dead_units": 30.0}]
    finalists = [trial.trial for trial in write(histories, objective=objectives).finalists]
    assert finalists == [f"{k:02d}" for k in range(13, 3, -1)]

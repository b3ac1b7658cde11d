"""Results read from a journal."""

import json
import math
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from sweeps.config import SweepConfig
from sweeps.storage.layout import create
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.results import SweepResult, load_result

Write = Callable[..., SweepResult]


def mse(*values: float) -> list[dict[str, float]]:
    return [{"valid/mse": value} for value in values]


def test_trials_are_ranked_at_their_best_epoch(write_result: Write) -> None:
    result = write_result({"a": mse(3, 2, 4), "b": mse(9, 1, 9)})
    assert [(trial.trial, trial.epoch) for trial in result.ranking] == [("b", 2), ("a", 2)]


def test_ranked_trial_has_its_epochs_and_what_stopped_it(write_result: Write) -> None:
    result = write_result({"a": mse(3, 2, 4), "b": mse(9, 1)}, tags={"b": {"sweeps.stopped_early": "asha"}})
    assert [(trial.epoch, trial.epochs, trial.stopped_by) for trial in result.ranking] == [
        (2, 2, "asha"),
        (2, 3, "all epochs"),
    ]
    plain = result.to_dict(top=2)
    assert (plain["best"]["epochs"], plain["ranking"][1]["stopped_by"]) == (2, "all epochs")
    running = write_result({"a": mse(3)}, states={"a": PointState.RUNNING}, state=None)
    assert running.leader is not None
    assert running.leader.stopped_by is None


def test_trials_are_ranked_at_their_last_epoch_if_asked(write_result: Write) -> None:
    result = write_result({"a": mse(3, 2, 4), "b": mse(9, 1, 9)}, objective={"metric": "valid/mse", "at": "last"})
    assert [(trial.trial, trial.epoch) for trial in result.ranking] == [("a", 3), ("b", 3)]


def test_failed_and_killed_trials_are_not_ranked(write_result: Write) -> None:
    states = {"a": PointState.FAILED, "b": PointState.KILLED}
    result = write_result({"a": mse(1), "b": mse(2), "c": mse(3)}, states=states)
    assert [trial.trial for trial in result.ranking] == ["c"]


def test_nan_never_wins(write_result: Write) -> None:
    assert write_result({"a": mse(math.nan, math.nan), "b": mse(5)}).best.trial == "b"  # type: ignore[union-attr]


def test_several_objectives_give_a_front(write_result: Write) -> None:
    objectives = [{"metric": "valid/mse", "at": "last"}, {"metric": "valid/code_sparsity", "at": "last"}]
    points = {"a": (1.0, 0.1), "b": (2.0, 0.9), "c": (3.0, 0.5)}
    histories = {k: [{"valid/mse": error, "valid/code_sparsity": s}] for k, (error, s) in points.items()}
    result = write_result(histories, objective=objectives)
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
    write_result: Write, state: SweepState, states: dict[str, PointState], status: int
) -> None:
    assert write_result({"a": mse(1), "b": mse(2)}, state=state, states=states).exit_status == status


def test_running_sweep_counts_what_is_to_come(write_result: Write) -> None:
    space = {"model.hidden_size": {"choice": [8, 16]}}
    states = {"b": PointState.RUNNING}
    overview = write_result(
        {"a": mse(1), "b": mse(2)}, state=None, states=states, search=space, budget={"trials": 5}
    ).overview()
    assert (overview["state"], overview["trials"], overview["running"], overview["to_come"]) == ("RUNNING", 2, 1, 3)


def test_the_best_of_the_running_trials_leads_but_is_not_ranked(write_result: Write) -> None:
    running = dict.fromkeys(["b", "c", "d"], PointState.RUNNING)
    result = write_result({"a": mse(3), "b": mse(2, 1, 4), "c": mse(5), "d": []}, states=running, state=None)
    assert [trial.trial for trial in result.ranking] == ["a"]
    assert result.leader is not None
    assert (result.leader.trial, result.leader.epoch) == ("b", 2)
    assert write_result({"a": mse(3)}).leader is None


def test_result_is_plain_json(write_result: Write) -> None:
    plain = json.loads(json.dumps(write_result({"a": mse(1)}).to_dict(top=3)))
    assert plain["best"]["metrics"] == {"valid/mse": 1}
    assert "front" not in plain  # with one objective, the ranking says it all


def test_finalist_is_the_best_trial(write_result: Write) -> None:
    assert [trial.trial for trial in write_result({"a": mse(3), "b": mse(1), "c": mse(2)}).finalists] == ["b"]
    assert write_result({"a": []}).finalists == []


def test_finalists_are_at_most_ten_of_a_front(write_result: Write) -> None:
    objectives = [{"metric": "valid/mse"}, {"metric": "valid/dead_units"}]
    histories = {f"{k:02d}": [{"valid/mse": 20.0 - k, "valid/dead_units": float(k)}] for k in range(14)}
    histories["beaten"] = [{"valid/mse": 30.0, "valid/dead_units": 30.0}]
    finalists = [trial.trial for trial in write_result(histories, objective=objectives).finalists]
    assert finalists == [f"{k:02d}" for k in range(13, 3, -1)]


@pytest.mark.parametrize(
    ("is_owned", "recorded", "expected"),
    [
        (True, None, (SweepState.RUNNING, PointState.RUNNING)),
        (False, None, (SweepState.INTERRUPTED, PointState.KILLED)),
        (True, SweepState.FINISHED, (SweepState.FINISHED, PointState.RUNNING)),
        (False, SweepState.FAILED, (SweepState.FAILED, PointState.RUNNING)),
    ],
)
def test_a_sweep_without_its_process_and_without_an_end_is_interrupted(
    small_sweep: Callable[..., SweepConfig],
    is_owned: bool,
    recorded: SweepState | None,
    expected: tuple[SweepState, PointState],
) -> None:
    config, folder = small_sweep(), create("small")
    with Journal.create(folder.journal, SweepRecord(folder.id, "small", "small", config.to_dict(), 0)) as journal:
        for index, state in enumerate((PointState.RUNNING, PointState.FINISHED)):
            journal.start_point(PointRecord(f"{index:04d}", index, {"model.hidden_size": 8 + index}, "h", 0))
            if state is not PointState.RUNNING:
                journal.end_point(f"{index:04d}", PointEnd(state), 1)
        if recorded is not None:
            journal.end_sweep(recorded, "", {}, 2)
    with own_sweep(folder) if is_owned else nullcontext():
        result = load_result(folder)
    assert (result.record.state, result.points[0].state) == expected
    assert result.points[1].state is PointState.FINISHED

"""All that is known of each trial, one row each."""

from collections.abc import Callable

from sweeps.cli.display.ranking_rows import ranking_rows
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.results import SweepResult

Write = Callable[..., SweepResult]
HISTORIES = {
    "a": [{"valid/mse": 3.0, "valid/r2": 0.1}, {"valid/mse": 2.0, "valid/r2": 0.3}],
    "b": [{"valid/mse": 1.0, "valid/r2": 0.5}, {"valid/mse": 4.0, "valid/r2": 0.1}],
    "c": [{"valid/mse": 0.1, "valid/r2": 0.9}],
}


def test_ranked_trials_come_first_with_the_metrics_of_their_epoch(write_result: Write) -> None:
    rows = ranking_rows(write_result(HISTORIES, states={"c": PointState.FAILED}))
    assert [(row["rank"], row["trial"], row["state"]) for row in rows] == [
        (1, "b", "FINISHED"),
        (2, "a", "FINISHED"),
        (None, "c", "FAILED"),
    ]
    best = rows[0]
    assert (best["valid/mse"], best["valid/r2"], best["epoch"], best["epochs"]) == (1.0, 0.5, 1, 2)
    assert (best["model.hidden_size"], best["stopped_by"]) == (1, "all epochs")
    assert (rows[2]["valid/mse"], rows[2]["stopped_by"]) == (None, "error")


def test_top_leaves_the_others_out(write_result: Write) -> None:
    assert [row["trial"] for row in ranking_rows(write_result(HISTORIES), top=2)] == ["c", "b"]


def test_several_objectives_mark_the_front(write_result: Write) -> None:
    objectives = [{"metric": "valid/mse"}, {"metric": "valid/r2"}]
    rows = ranking_rows(write_result(HISTORIES, objective=objectives))
    assert [row["front"] for row in rows] == [True, False, False]

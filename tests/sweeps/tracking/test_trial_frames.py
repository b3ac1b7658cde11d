"""The trials and epochs of a sweep as data frames: rows, columns and types."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeps.config import SweepConfig
from sweeps.errors import UnknownTrial
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.results import SweepResult, load_result

SEARCH = {"model.hidden_size": {"choice": [8, 16]}, "model.noise.level": {"uniform": [0.0, 0.5]}}
FINDINGS = [
    {"name": "dead units", "severity": "warning", "evidence": {"share": 0.5}, "advice": "Lower the rate."},
    {"name": "identity copied", "severity": "note", "evidence": {}, "advice": "None."},
]


@pytest.fixture
def write_sweep(small_sweep: Callable[..., SweepConfig]) -> Callable[..., SweepResult]:
    """A sweep in SWEEPS_HOME with these points, each with its state and its metrics by epoch."""

    def write(points: list[tuple[dict[str, Any], PointState, list[dict[str, float]]]], **sections: Any) -> SweepResult:
        config = small_sweep(**({"search": SEARCH, "budget": {"trials": 9}} | sections))
        folder: SweepFolder = layout.create(config.name)
        record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), 0)
        with Journal.create(folder.journal, record) as journal:
            for index, (point, state, history) in enumerate(points):
                point_id = f"{index:04d}"
                journal.start_point(PointRecord(point_id, index, point, f"{point_id} h={index}", 1000 * index))
                for epoch, metrics in enumerate(history, start=1):
                    journal.record_epoch(point_id, epoch, metrics, epoch)
                if state is not PointState.RUNNING:
                    reason = "out of memory" if state is PointState.FAILED else None
                    diagnosis = FINDINGS if state is PointState.FINISHED else None
                    journal.end_point(point_id, PointEnd(state, reason, {}, diagnosis), 1000 * index + 2500)
            journal.end_sweep(SweepState.INTERRUPTED, "", {"sweeps.seconds": "12.5"}, 20_000)
        return load_result(folder)

    return write


def point(size: int, level: float) -> dict[str, Any]:
    return {"model.hidden_size": size, "model.noise.level": level}


@pytest.fixture
def mixed(write_sweep: Callable[..., SweepResult]) -> SweepResult:
    return write_sweep(
        [
            (point(8, 0.25), PointState.FINISHED, [{"valid/mse": 0.5}, {"valid/mse": 0.75, "valid/r2": 0.1}]),
            (point(16, 0.5), PointState.FAILED, [{"valid/mse": 0.1}]),
            (point(16, 0.0), PointState.FINISHED, [{"valid/mse": 0.4}, {"valid/mse": 0.25, "valid/r2": 0.2}]),
            (point(8, 0.1), PointState.KILLED, []),
            (point(8, 0.2), PointState.RUNNING, [{"valid/mse": 0.2}]),
        ]
    )


def test_trials_have_a_row_each_ranked_first_with_the_metrics_of_the_best_epoch(mixed: SweepResult) -> None:
    frame = mixed.trials()
    assert list(frame.index) == ["0002", "0000", "0001", "0003", "0004"]
    assert frame.index.name == "trial"
    assert frame["rank"].dropna().tolist() == [1, 2]
    assert frame["state"].tolist() == ["FINISHED", "FINISHED", "FAILED", "KILLED", "RUNNING"]
    assert frame["model.hidden_size"].tolist() == [16, 8, 16, 8, 8]
    assert frame["epoch"].tolist()[:2] == [2, 1]
    assert frame["epochs"].tolist() == [2, 2, 1, 0, 1]
    np.testing.assert_array_equal(frame["valid/mse"], [0.25, 0.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(frame["valid/r2"], [0.2] + 4 * [np.nan])
    np.testing.assert_array_equal(frame["seconds"], [2.5, 2.5, 2.5, 2.5, np.nan])
    assert frame["findings"].tolist() == ["dead units", "dead units", "", "", ""]
    assert frame.loc["0001", "reason"] == "out of memory"
    assert frame["reason"].isna().sum() == 4
    assert frame.loc["0002", "run_name"] == "0002 h=2"
    assert {"stopped_by", "run_id"} <= set(frame.columns)


def test_seconds_of_a_resumed_trial_leave_the_pause_out(small_sweep: Callable[..., SweepConfig]) -> None:
    config = small_sweep(search=SEARCH, budget={"trials": 2})
    folder = layout.create(config.name)
    with Journal.create(folder.journal, SweepRecord(folder.id, config.name, "small", config.to_dict(), 0)) as journal:
        for index in range(2):
            journal.start_point(PointRecord(f"{index:04d}", index, point(8, 0.1), f"h={index}", 1000))
        journal.record_epoch("0000", 1, {"valid/mse": 0.5}, 7_000)
    lost = load_result(folder).trials()  # its process was lost: as the next resume will record it
    assert lost["state"].tolist() == ["KILLED", "KILLED"]
    assert lost["seconds"].tolist() == [6, 6]
    with Journal.open(folder.journal) as journal:
        journal.end_point("0000", PointEnd(PointState.KILLED), 7_000)
        journal.end_sweep(SweepState.INTERRUPTED, "", {}, 7_000)
        for resumed, ended in ((400_000, 402_500), (900_000, 901_000)):
            journal.resume_sweep(None, {}, resumed - 500)
            journal.retry_point("0000", "the sweep was resumed", resumed)
            journal.retry_point("0000", "the process that trained it was lost", resumed + 100)
            journal.end_point("0000", PointEnd(PointState.KILLED), ended)
        journal.end_sweep(SweepState.INTERRUPTED, "", {}, 901_000)
    assert load_result(folder).trials().loc["0000", "seconds"] == 6 + 2.5 + 1


def test_columns_of_numbers_have_number_types(mixed: SweepResult) -> None:
    types = mixed.trials().dtypes.astype(str).to_dict()
    assert types["model.hidden_size"] == "int64"
    assert types["model.noise.level"] == types["valid/mse"] == types["seconds"] == "float64"
    assert types["rank"] == types["epoch"] == types["epochs"] == "Int64"


def test_history_has_a_row_for_each_epoch_of_each_trial(mixed: SweepResult) -> None:
    frame = mixed.history()
    assert frame.index.names == ["trial", "epoch"]
    assert frame.index.tolist() == [
        ("0000", 1),
        ("0000", 2),
        ("0001", 1),
        ("0002", 1),
        ("0002", 2),
        ("0004", 1),
    ]
    assert set(frame.dtypes.astype(str)) == {"float64"}
    np.testing.assert_array_equal(frame["valid/r2"], [np.nan, 0.1, np.nan, np.nan, 0.2, np.nan])
    assert mixed.history("2").equals(frame.loc[["0002"]])
    assert mixed.history(np.int64(2)).equals(mixed.history(2))
    assert mixed.history(2).equals(mixed.history("2"))
    assert len(mixed.history("0003")) == 0
    with pytest.raises(UnknownTrial, match="It has 0000 to 0004"):
        mixed.history("9")


def test_frames_of_a_sweep_without_trials_have_the_same_columns_and_types(
    write_sweep: Callable[..., SweepResult], mixed: SweepResult
) -> None:
    empty = write_sweep([])
    frame = empty.trials()
    assert len(frame) == 0
    full = mixed.trials().drop(columns="valid/r2")
    assert frame.dtypes.to_dict() == full.dtypes.to_dict()
    history = empty.history()
    assert (len(history), list(history.columns), history.index.names) == (0, ["valid/mse"], ["trial", "epoch"])


@pytest.mark.parametrize(
    ("searched", "values", "expected"),
    [
        ({"choice": [5, None]}, [5, None], "Int64"),
        ({"choice": [None, 7, 9]}, [7, 9], "int64"),
    ],
)
def test_a_whole_number_that_may_be_missing_stays_whole(
    write_sweep: Callable[..., SweepResult], searched: Any, values: list[Any], expected: str
) -> None:
    points = [({"training.patience": value}, PointState.RUNNING, []) for value in values]
    training = {"epochs": 20, "probe_samples": 0}
    frame = write_sweep(points, search={"training.patience": searched}, training=training).trials()
    assert str(frame["training.patience"].dtype) == expected
    assert [None if value is pd.NA else value for value in frame["training.patience"]] == values


def test_lists_texts_and_booleans_are_kept(write_sweep: Callable[..., SweepResult]) -> None:
    search = {
        "model.hidden_sizes": {"choice": [[8], [16, 8]]},
        "model.activation": {"choice": ["elu", "tanh"]},
        "model.tied_weights": {"choice": [True, False]},
    }
    points: list[Any] = [
        (
            {"model.hidden_sizes": [16, 8], "model.activation": "elu", "model.tied_weights": True},
            PointState.RUNNING,
            [],
        )
    ]
    frame = write_sweep(points, search=search, model={"name": "deep", "code_size": 2}).trials()
    assert frame.iloc[0][list(search)].tolist() == [[16, 8], "elu", True]
    assert str(frame["model.tied_weights"].dtype) == "bool"


def test_repr_fits_a_screen_and_says_what_a_person_asks_first(mixed: SweepResult) -> None:
    lines = repr(mixed).splitlines()
    assert lines == [
        f"SweepResult {mixed.sweep} INTERRUPTED",
        "  small: 3 of 9 trials ended, 1 failed, 1 running, 12.5 s",
        "  2 stopped, 4 not started: sweeps.resume(result) continues them",
        "  best trial 0002: valid/mse 0.25 at epoch 2 of 2",
        "    model.hidden_size  16",
        "    model.noise.level  0",
        "    diagnosis: dead units",
        "  leading: trial 0004: valid/mse 0.2 at epoch 1 of 1",
        f"  {mixed.n_undelivered} undelivered records: `sweeps sync {mixed.sweep}`",
        "  .trials() and .history() are data frames; MLflow shows the runs:",
        f"  `sweeps ui {mixed.sweep}`",
    ]


def test_repr_of_a_running_sweep_shows_the_best_trial_so_far(write_sweep: Callable[..., SweepResult]) -> None:
    stopped = write_sweep([(point(8, 0.25), PointState.RUNNING, [{"valid/mse": 0.5}, {"valid/mse": 0.25}])])
    running = replace(stopped, record=replace(stopped.record, state=SweepState.RUNNING))
    for shown in (repr(running), running._repr_html_()):
        assert "leading: trial 0000: valid/mse 0.25 at epoch 2 of 2" in shown
        assert "no trial has finished yet" not in shown
        assert "continues them" not in shown
    assert "1 stopped, 8 not started: sweeps.resume(result) continues them" in stopped._repr_html_()


def test_repr_of_a_hostile_sweep_is_short_and_harmless(write_sweep: Callable[..., SweepResult]) -> None:
    paths = {f"model.{'x' * 200}{index}": "\x1b[2J\n" for index in range(40)}
    result = write_sweep([(paths, PointState.FINISHED, [{"valid/mse": 0.5}])])
    text = repr(result)
    assert len(text.splitlines()) <= 15
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    assert "and 34 more" in text


def test_html_escapes_what_a_journal_holds_and_leaves_missing_filters_out(
    write_sweep: Callable[..., SweepResult],
) -> None:
    hostile = "<script>alert(1)</script>"
    result = write_sweep([({hostile: hostile}, PointState.FINISHED, [{"valid/mse": 0.5}])])
    html = result._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "<img" not in html
    assert "no trial has finished yet" in write_sweep([])._repr_html_()


def test_html_shows_the_filters_of_the_best_trial_unless_their_file_is_damaged(mixed: SweepResult) -> None:
    folder = mixed.folder.point("0002")
    path = folder.snapshot(1)
    assert isinstance(path, Path)
    path.parent.mkdir(parents=True)
    np.savez(path, filters=np.eye(4, 64), image_shape=np.array([8, 8]))
    assert 'src="data:image/png;base64,' in mixed._repr_html_()
    assert "filters of trial 0002" in mixed._repr_html_()
    path.write_bytes(b"no arrays")
    assert "<img" not in mixed._repr_html_()

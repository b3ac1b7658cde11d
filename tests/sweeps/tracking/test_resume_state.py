"""What a sweep that goes on knows of what it has done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.config import SweepConfig
from sweeps.errors import ConfigError
from sweeps.search.searchers import Ended, point_searcher
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.progress import Progress
from sweeps.tracking.resume_state import count_ended, extended, read_resume_state

SEARCH = {"model.hidden_size": {"choice": [8, 16, 32]}}
MakeSweep = Callable[..., SweepConfig]


def journal_of(config: SweepConfig, path: Path, states: list[PointState]) -> Journal:
    """A sweep of which the n-th point is in the n-th state, each after two epochs."""
    record = SweepRecord("small-1", config.name, config.experiment, config.to_dict(), start_ms=1_000)
    journal = Journal.create(path / "journal.db", record)
    for proposal in point_searcher(config).ask(len(states)):
        index, point_id = proposal.index, f"{proposal.index:04d}"
        journal.start_point(PointRecord(point_id, index, proposal.point, point_id, start_ms=2_000))
        for epoch in (1, 2):
            journal.record_epoch(point_id, epoch, {"valid/mse": index + 1 / epoch}, 2_000 + epoch)
        if states[index] is not PointState.RUNNING:
            journal.end_point(point_id, PointEnd(states[index]), 3_000)
    return journal


def test_finished_points_are_told_with_their_best_value_failed_ones_without_and_others_are_begun(
    small_sweep: MakeSweep, tmp_path: Path
) -> None:
    config = small_sweep(search=SEARCH, budget={"trials": 5})
    states = [PointState.FINISHED, PointState.FAILED, PointState.KILLED, PointState.RUNNING]
    with journal_of(config, tmp_path, states) as journal:
        state = read_resume_state(journal, SweepFolder(tmp_path), config)
    points = [proposal.point for proposal in point_searcher(config).ask(4)]
    assert state.ended == {0: Ended(points[0], (0.5,)), 1: Ended(points[1], None)}
    assert state.unfinished == {2: points[2], 3: points[3]}
    assert state.ended_ids == {"0000", "0001"}
    assert state.ended_values == [(points[0], [(1, 1.0), (2, 0.5)]), (points[1], [(1, 2.0), (2, 1.5)])]
    assert state.n_remaining(config) == 3


def test_a_value_of_the_objective_shows_that_the_data_give_it(small_sweep: MakeSweep, tmp_path: Path) -> None:
    config = small_sweep(search=SEARCH, budget={"trials": 5})
    with journal_of(config, tmp_path, [PointState.KILLED]) as journal:
        assert read_resume_state(journal, SweepFolder(tmp_path), config).is_measured
        other = small_sweep(search=SEARCH, budget={"trials": 5}, objective={"metric": "valid/r2"})
        assert not read_resume_state(journal, SweepFolder(tmp_path), other).is_measured


def test_each_history_is_read_once(small_sweep: MakeSweep, tmp_path: Path, histories_read: list[str]) -> None:
    config = small_sweep(search=SEARCH, budget={"trials": 5})
    states = [PointState.FINISHED, PointState.FAILED, PointState.KILLED, PointState.RUNNING]
    with journal_of(config, tmp_path, states) as journal:
        read_resume_state(journal, SweepFolder(tmp_path), config)
    assert sorted(histories_read) == ["0000", "0001", "0002", "0003"]


def test_counters_begin_with_what_has_ended(small_sweep: MakeSweep, tmp_path: Path) -> None:
    config = small_sweep(search=SEARCH, budget={"trials": 4})
    states = [PointState.FINISHED, PointState.FINISHED, PointState.FAILED, PointState.KILLED]
    progress = Progress("small-1", 4, 3, config.objectives[0])
    with journal_of(config, tmp_path, states) as journal:
        count_ended(progress, read_resume_state(journal, SweepFolder(tmp_path), config))
    assert (progress.n_ended, progress.n_to_come) == (3, 1)
    assert (progress.best_point, progress.best_value) == ("0000", 0.5)


def test_an_extended_sweep_has_so_many_more_trials_and_is_the_same_else(small_sweep: MakeSweep) -> None:
    config = small_sweep(search=SEARCH, budget={"trials": 4, "seconds": 60})
    longer = extended(config, 3)
    assert longer.n_trials == 7
    assert longer.to_dict() | {"budget": {}} == config.to_dict() | {"budget": {}}
    assert longer.budget.seconds == 60


@pytest.mark.parametrize(("n_trials", "n_more", "expected"), [(1, 1, 2), (1, 9, 3), (2, 1, 3)])
def test_an_extended_grid_takes_what_is_left(small_sweep: MakeSweep, n_trials: int, n_more: int, expected: int) -> None:
    config = small_sweep(search=SEARCH, algorithm={"name": "grid"}, budget={"trials": n_trials})
    assert extended(config, n_more).n_trials == expected


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"search": SEARCH, "algorithm": {"name": "grid"}}, "algorithm grid has none after these 3"),
        ({}, "must have a search space"),
    ],
)
def test_what_has_no_points_left_cannot_be_extended(
    small_sweep: MakeSweep, sections: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        extended(small_sweep(**sections), 1)

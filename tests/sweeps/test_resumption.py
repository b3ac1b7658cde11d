"""Resuming a sweep with nothing left to train; tests with Ray cover resumes that train."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeps.config import SweepConfig
from sweeps.resumption import resume
from sweeps.storage import layout
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.journal.segments import read_segments


@pytest.mark.slow
def test_resuming_a_sweep_lost_after_its_last_trial_records_and_delivers_its_end(
    small_sweep: Callable[..., SweepConfig], own_home: Path, histories_read: list[str]
) -> None:
    config = small_sweep(budget={"trials": 1})
    folder = layout.create("small")
    folder.write_config(config.to_yaml())
    record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), start_ms=1_000)
    with Journal.create(folder.journal, record) as journal:
        journal.start_point(PointRecord("0000", 0, {"model.hidden_size": 8}, "h=8", start_ms=2_000))
        journal.record_epoch("0000", 1, {"valid/mse": 0.5}, 3_000)
        journal.end_point("0000", PointEnd(PointState.FINISHED), 4_000)
    result = resume(folder)
    assert len(histories_read) == 3  # for the ranking of a lost sweep, for what is left to train, and for the result
    assert (result.record.state, result.n_undelivered) == (SweepState.FINISHED, 0)
    assert [row[1] for row in read_segments(folder.segments).rows][-1] == "sweep_end"
    client = MlflowClient(f"sqlite:///{own_home}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert sorted(run.info.status for run in runs) == ["FINISHED", "FINISHED"]

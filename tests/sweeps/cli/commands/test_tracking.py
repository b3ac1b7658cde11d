"""`sweeps sync`: a lost sweep is ended and delivered, in one pass over its journal."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.config import SweepConfig
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointRecord, SweepRecord, SweepState
from sweeps.tracking.results import load_result


@pytest.fixture
def lost(small_sweep: Callable[..., SweepConfig]) -> SweepFolder:
    """A sweep whose process was lost while its only trial ran."""
    config = small_sweep()
    folder = layout.create("small")
    record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), start_ms=1_000)
    with Journal.create(folder.journal, record) as journal:
        journal.start_point(PointRecord("0000", 0, {}, "h=8", start_ms=2_000))
        journal.record_epoch("0000", 1, {"valid/mse": 0.5}, 3_000)
    return folder


@pytest.mark.slow
def test_sync_ends_and_delivers_a_lost_sweep_and_opens_its_journal_twice(
    lost: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    open_journal = Journal.open

    def open_and_count(path: Path, **options: Any) -> Journal:
        opened.append(path)
        return open_journal(path, **options)

    monkeypatch.setattr(Journal, "open", open_and_count)
    done = CliRunner().invoke(app, ["sync", lost.id, "--json"])
    assert json.loads(done.stdout) == {"sweep": lost.id, "undelivered": 0, "refused": 0, "error": None}
    assert len(opened) == 2  # to deliver, and under the lock again to record what was delivered
    assert json.loads(lost.delivered.read_bytes())["store"] == os.environ["MLFLOW_TRACKING_URI"]
    assert load_result(lost).record.state is SweepState.INTERRUPTED
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert [run.info.status for run in runs] == ["KILLED", "KILLED"]

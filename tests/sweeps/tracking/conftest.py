"""Journals as a sweep writes them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord, PointEnd, PointRecord, PointState, SweepRecord, SweepState

WriteJournal = Callable[..., Journal]


@pytest.fixture
def write_point() -> Callable[..., None]:
    """Record a point from its start to its end."""
    return record_point


@pytest.fixture
def write_journal(tmp_path: Path) -> Iterator[WriteJournal]:
    """Write the journal of a sweep, ended or still running; the sweep folder is the journal's."""
    journals = []

    def write(
        sweep_id: str,
        n_points: int = 3,
        n_epochs: int = 4,
        *,
        experiment: str | None = None,
        figures: bool = False,
        ended: bool = True,
    ) -> Journal:
        folder = tmp_path / sweep_id
        record = SweepRecord(
            sweep_id=sweep_id,
            name="quickstart",
            experiment=experiment or f"experiment of {sweep_id}",
            config={"name": "quickstart"},
            start_ms=1_700_000_000_000,
            params={"budget.trials": str(n_points)},
            tags={"sweeps.host": "here"},
            dataset={"name": "digits", "checksum": "c0ffee", "n_train": 1000},
            description="What this sweep shows.",
        )
        journal = Journal.create(folder / "journal.db", record)
        journals.append(journal)
        for index in range(n_points):
            record_point(journal, index, n_epochs, figures=figures, ended=ended)
        if ended:
            description = "Best: [h=0](run:p0), then [lost](run:nowhere)"
            journal.end_sweep(SweepState.FINISHED, description, {"sweeps.best": "p0"}, 1_700_000_900_000)
        return journal

    yield write
    for journal in journals:
        journal.close()


def record_point(journal: Journal, index: int, n_epochs: int, *, figures: bool = False, ended: bool = True) -> None:
    point_id, time_ms = f"p{index}", 1_700_000_000_000 + index
    point = PointRecord(
        point_id=point_id,
        index=index,
        point={"model.hidden_size": index},
        run_name=f"h={index}",
        start_ms=time_ms,
        params={"model.hidden_size": str(index), "model.name": "shallow"},
        tags={"sweeps.seed": "7"},
        references={"mean predictor": 0.5},
    )
    journal.start_point(point)
    if figures:
        write_snapshot(journal.path.parent / "points" / point_id / "snapshot-00000.npz")
        source = f"points/{point_id}/snapshot-00000.npz"
        journal.record_figure(point_id, FigureRecord("filters/epoch-00000.png", "filters", source), time_ms)
        journal.record_figure(
            point_id, FigureRecord("reconstructions/epoch-00000.png", "reconstructions", source), time_ms
        )
    for epoch in range(1, n_epochs + 1):
        metrics = {"train/loss": 1 / epoch, "valid/mse": index + 0.1 / epoch, "valid/r2": 0.9}
        journal.record_epoch(point_id, epoch, metrics, time_ms + 1000 * epoch)
    if figures:
        journal.record_figure(point_id, FigureRecord("loss_curve.png", "loss_curve"), time_ms)
    if ended:
        journal.end_point(point_id, PointEnd(PointState.FINISHED), time_ms + 1000 * n_epochs)


def write_snapshot(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    np.savez(
        path,
        filters=generator.normal(size=(16, 64)).astype(np.float32),
        originals=generator.random((10, 64), np.float32),
        reconstructions=generator.random((10, 64), np.float32),
        image_shape=np.array([8, 8]),
    )

"""The figures that a trial has at its end."""

import io

import numpy as np

from sweeps.models.figures.table import Figure, figures_from
from sweeps.storage.layout import PointFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord


def record_detailed_figures(journal: Journal, folder: PointFolder, time_ms: int) -> None:
    """Record that a trial's loss curve is to be drawn, and each detailed figure that its arrays allow."""
    for figure in figures_from("metrics"):
        journal.record_figure(folder.point_id, FigureRecord(figure.file(), figure.kind), time_ms)
    source = folder.in_sweep(folder.best_arrays)
    for figure in figures_of(folder):
        journal.record_figure(folder.point_id, FigureRecord(figure.file(), figure.kind, source), time_ms)


def figures_of(folder: PointFolder) -> list[Figure]:
    """Return the detailed figures that can be drawn of a trial; none if it has saved no best epoch."""
    if not folder.best_arrays.exists():
        return []
    with np.load(io.BytesIO(folder.best_arrays.read_bytes()), allow_pickle=False) as file:
        return [figure for figure in figures_from("best epoch") if figure.needs <= set(file.files)]

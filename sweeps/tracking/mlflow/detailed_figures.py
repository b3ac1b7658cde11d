"""The figures that a trial has at its end."""

import logging

from sweeps.models.figures.table import Figure, figures_from
from sweeps.storage.array_file import ArrayFileError, read_arrays
from sweeps.storage.layout import PointFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord

logger = logging.getLogger(__name__)


def record_detailed_figures(journal: Journal, folder: PointFolder, time_ms: int) -> None:
    """Record that a trial's loss curve is to be drawn, and each detailed figure that its arrays allow."""
    for figure in figures_from("metrics"):
        journal.record_figure(folder.point_id, FigureRecord(figure.file(), figure.kind), time_ms)
    source = folder.in_sweep(folder.best_arrays)
    for figure in figures_of(folder):
        journal.record_figure(folder.point_id, FigureRecord(figure.file(), figure.kind, source), time_ms)


def figures_of(folder: PointFolder) -> list[Figure]:
    """Return the detailed figures that can be drawn of a trial; none if its best epoch is not saved, or damaged."""
    if not folder.best_arrays.exists():
        return []
    try:
        arrays = read_arrays(folder.best_arrays)
    except ArrayFileError as error:
        logger.warning("Trial %s has no detailed figures: %s", folder.point_id, error)
        return []
    return [figure for figure in figures_from("best epoch") if figure.needs <= arrays.keys()]

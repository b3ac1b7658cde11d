"""Figures of a run as PNG, drawn on the driver from what a trial has saved, so that no trial waits for them."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sweeps.config.objective import ObjectiveConfig
from sweeps.models.figures.table import FIGURES
from sweeps.search.ranking import best_epoch
from sweeps.storage.array_file import read_arrays
from sweeps.storage.layout import PointFolder
from sweeps.storage.object_store import Place

if TYPE_CHECKING:
    from sweeps.models.figures.learning_curves import RankedEpoch

# The kind of the sweep's report in the journal: a page in the sweep's folder, delivered as it is.
REPORT_KIND = "report"

History = Sequence[tuple[int, Mapping[str, float]]]


class FigureError(Exception):
    """A figure cannot be drawn, now or later: what it is drawn from is missing, damaged or of no use."""


def draw(
    kind: str,
    source: Place,
    history: History,
    references: Mapping[str, float],
    name: str = "",
    objectives: Sequence[ObjectiveConfig] = (),
) -> bytes:
    """Return a figure of the table `models.figures.table` as PNG.

    `source` is the file of arrays that it is drawn from, in the folder of its point. `history` holds the metrics by
    epoch, `references` the errors to compare with, by name. `name` is that of the run, and `objectives` rank it. Raises
    FigureError.
    """
    if kind not in FIGURES:
        raise FigureError(f"a figure must be one of {', '.join(FIGURES)}, not {kind!r}")
    from sweeps.models.figures.drawings import Trial  # imports Pillow: only where something is drawn

    folder = PointFolder(source.parent)
    trial = Trial(
        dict(history),
        references,
        load_source=partial(read_arrays, source),
        load_references=lambda: read_arrays(folder.sweep.references),
        load_snapshot=lambda epoch: read_arrays(folder.snapshot(epoch)),
        name=name,
        ranked=_ranked_epoch(history, objectives),
    )
    try:
        return _as_png(FIGURES[kind].draw(trial))
    except (OSError, LookupError, ValueError, TypeError) as error:  # a file damaged, or with arrays of something else
        raise FigureError(f"cannot draw {kind} from {source.name}: {error}") from error


def _ranked_epoch(history: History, objectives: Sequence[ObjectiveConfig]) -> "RankedEpoch":
    from sweeps.models.figures.learning_curves import RankedEpoch

    if not objectives:
        return RankedEpoch()
    score = best_epoch(history, objectives)
    names = tuple(objective.metric for objective in objectives)
    return RankedEpoch(names, None if score is None else score.epoch, f"{objectives[0].at} epoch")


def _as_png(picture: Any) -> bytes:
    if isinstance(picture, bytes):
        return picture
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)  # a third of the time of 6, for a seventh more bytes
    return buffer.getvalue()

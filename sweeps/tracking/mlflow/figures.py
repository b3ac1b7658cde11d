"""Figures of a run as PNG: drawn on the driver from saved arrays, so that no trial waits for them."""

import io
import zlib
from collections.abc import Mapping, Sequence
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from sweeps.models.figures.figures import draw_filters, draw_rows, enlarged
from sweeps.models.figures.plots import draw_loss_curve
from sweeps.storage.layout import PointFolder
from sweeps.storage.object_store import Place
from sweeps.tracking.mlflow.detailed_figures import KINDS, draw_detailed

History = Sequence[tuple[int, Mapping[str, float]]]

_CURVES = ("pretrain/loss", "train/loss", "valid/mse", "valid/denoise_mse", "valid/classification_error")


class FigureError(Exception):
    """A figure can never be drawn: its source is missing, damaged or unsuitable."""


def draw(kind: str, source: Place, history: History, references: Mapping[str, float]) -> bytes:
    """Return a figure as PNG; FigureError if it cannot be drawn.

    "filters" and "reconstructions" are drawn from the snapshot `source`, "loss_curve" from `history` and `references`,
    those of `detailed_figures.KINDS` from the arrays of a best epoch, `source`, and the files beside it.
    """
    try:
        if kind == "loss_curve":
            return draw_loss_curve(_curves(history), references)
        if kind in ("filters", "reconstructions"):
            return _png(_from_snapshot(kind, source))
        if kind in KINDS:
            drawn = draw_detailed(kind, PointFolder(source.parent), dict(history), references)
            return drawn if isinstance(drawn, bytes) else _png(drawn)
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
        raise FigureError(f"cannot draw {kind} from {source.name}: {error}") from error
    known = ", ".join(("filters", "reconstructions", "loss_curve", *KINDS))
    raise FigureError(f"a figure must be one of {known}, not {kind!r}")


def _from_snapshot(kind: str, source: Place) -> Image.Image:
    with np.load(io.BytesIO(source.read_bytes()), allow_pickle=False) as snapshot:
        shape = tuple(snapshot["image_shape"].tolist()) if "image_shape" in snapshot else None
        if kind == "filters":
            return enlarged(draw_filters(snapshot["filters"], shape))
        return enlarged(draw_rows([snapshot["originals"], snapshot["reconstructions"]], shape))


def _curves(history: History) -> dict[str, tuple[list[int], list[float]]]:
    curves = {}
    for name in _CURVES:
        points = [(epoch, metrics[name]) for epoch, metrics in history if name in metrics]
        if points:
            curves[name] = ([epoch for epoch, _ in points], [value for _, value in points])
    return curves


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # a third of the time of level 6, for a seventh more bytes
    return buffer.getvalue()

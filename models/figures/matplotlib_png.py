"""Matplotlib figures as PNG. The first one imports matplotlib; no state is kept, so threads may draw concurrently."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100  # 800 pixels wide: MLflow scales an image down to its pane, 640 to 1,000 pixels wide


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of `width` x `height` inches, 100 pixels each."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def as_png(figure: "Figure") -> bytes:
    """Return a figure as a PNG."""
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()

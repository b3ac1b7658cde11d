"""Pictures of an autoencoder: filters, reconstructions, learning curves.

Images are drawn by Pillow, one data pixel to one image pixel or enlarged by a whole number; matplotlib is imported by
the first curve. Nothing here keeps state, so threads may draw at once.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
ImageShape = tuple[int, int] | None
Series = Mapping[str, tuple[Sequence[int], Sequence[float]]]

_GRID = 10  # tiles a side
_GAP = 1  # black pixels between tiles
_CURVE_INCHES, _CURVE_DPI = (8.0, 5.0), 100  # 800x500 pixels, which a browser shows beside a list without shrinking
_COLOURS = {"valid/mse": "tab:blue", "valid/denoise_mse": "tab:orange", "train/loss": "tab:green"}
_OTHER_COLOURS = ("tab:red", "tab:purple", "tab:brown", "tab:pink")
_RATIO_FOR_LOG = 5  # between the largest and smallest height; above it a linear axis presses the end of a curve flat


def draw_filters(
    filters: Array, image_shape: ImageShape, scale: Literal["tile", "shared"] = "tile", magnify: int = 1
) -> Image.Image:
    """Filters (units, features) as 10x10 tiles with a gap of 1: the first 100 units, row by row.

    `tile` stretches each filter from its own minimum to its maximum (Deep Learning Tutorials), `shared` uses one range
    for all that are drawn (theanets). Unused tiles, constant filters and values that are not finite are black. Without
    an image shape the weights are drawn as one matrix, a row a unit.
    """
    if image_shape is None:
        return _image(_stretch(filters, *_range(filters)), magnify)
    _check_features(filters, image_shape)
    drawn = filters[: _GRID * _GRID]
    tiles = np.zeros(drawn.shape, np.uint8)
    for tile, values in zip(tiles, drawn, strict=True):
        low, high = _range(values)
        if low < high:
            tile[:] = _stretch(values, *(_range(drawn) if scale == "shared" else (low, high)))
    return _image(_mosaic(tiles.reshape(-1, *image_shape), _GRID, _GRID), magnify)


def draw_reconstructions(
    originals: Array, reconstructions: Array, image_shape: ImageShape, magnify: int = 1
) -> Image.Image:
    """Originals (samples, features) in a row above their reconstructions, in one range of intensity.

    The range is that of the originals, so that they look the same in every epoch and trial; a reconstruction beyond it
    is clipped. Without an image shape, a matrix above a matrix, a row a sample.
    """
    return draw_rows([originals, reconstructions], image_shape, magnify)


def draw_rows(rows: Sequence[Array], image_shape: ImageShape, magnify: int = 1) -> Image.Image:
    """Several versions of the same samples, each (samples, features), one below the other in the first one's range."""
    low, high = _range(rows[0])
    shades = [_stretch(row, low, high) for row in rows]
    if image_shape is None:
        return _image(_mosaic(np.stack(shades), len(rows), 1), magnify)
    for row in rows:
        _check_features(row, image_shape)
    tiles = np.concatenate(shades).reshape(-1, *image_shape)
    return _image(_mosaic(tiles, len(rows), len(rows[0])), magnify)


def magnification(image_shape: ImageShape, n_columns: int = _GRID, width: int = 640) -> int:
    """How many times to enlarge so that `n_columns` tiles come near, and not above, `width` pixels; at least once."""
    columns = image_shape[1] if image_shape else 1
    return max(1, width // (n_columns * (columns + _GAP)))


def draw_loss_curve(series: Series, references: Mapping[str, float]) -> bytes:
    """Learning curves as a PNG of 800x500: errors on the validation split beside what is minimised on train.

    `series` maps a metric's name to its epochs and values, `references` a label (the mean predictor, PCA) to an error,
    drawn as a horizontal line among the validation errors. `train/...` has a panel of its own: it holds penalties,
    noise and perhaps another loss, so its height says nothing beside an error. A panel that spans a factor of 5 has a
    log axis.
    """
    from matplotlib.figure import Figure

    train = {name: curve for name, curve in series.items() if name.startswith("train/")}
    errors = {name: curve for name, curve in series.items() if name not in train}
    figure = Figure(figsize=_CURVE_INCHES, dpi=_CURVE_DPI, layout="constrained")
    panels = [panel for panel in ((errors, references), (train, {})) if panel[0] or panel[1]] or [({}, {})]
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=[3, 2][: len(panels)])[0]
    for axis, (curves, lines) in zip(axes, panels, strict=True):
        _draw_panel(axis, curves, lines)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


def _draw_panel(axis: "Axes", curves: Series, references: Mapping[str, float]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    others = iter(_OTHER_COLOURS * (1 + len(curves)))
    for name, (epochs, values) in curves.items():
        marker = "o" if len(epochs) <= 30 else None
        axis.plot(epochs, values, label=name, color=_COLOURS.get(name) or next(others), marker=marker, markersize=3)
    for (label, value), style in zip(references.items(), ("--", ":", "-.", "--", ":", "-."), strict=False):
        if math.isfinite(value):
            axis.axhline(value, color="0.35", linestyle=style, linewidth=1.2, label=f"{label} {value:.3g}")
    heights = [height for _, values in curves.values() for height in values if math.isfinite(height)]
    heights += [value for value in references.values() if math.isfinite(value)]
    if heights and 0 < min(heights) * _RATIO_FOR_LOG <= max(heights):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.grid(alpha=0.3)
    if heights:
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False)  # hides no curve


def _check_features(samples: Array, image_shape: tuple[int, int]) -> None:
    if samples.ndim != 2 or samples.shape[1] != math.prod(image_shape):
        raise ValueError(
            f"an image of {image_shape[0]}x{image_shape[1]} pixels needs {math.prod(image_shape)} features a row, "
            f"not an array of shape {samples.shape}: pass the data's own image shape, or None"
        )


def _range(values: Array) -> tuple[float, float]:
    """Smallest and largest finite value; (0, 0) where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _stretch(values: Array, low: float, high: float) -> Bytes:
    """Shades from black at `low` to white at `high`, clipped; all black where the two are equal."""
    if low == high:
        return np.zeros(values.shape, np.uint8)
    finite = np.where(np.isfinite(values), values, low).astype(np.float64)
    return np.rint(np.clip((finite - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _mosaic(tiles: Bytes, n_rows: int, n_columns: int) -> Bytes:
    """Tiles (n, height, width) laid out row by row on black."""
    height, width = tiles.shape[1] + _GAP, tiles.shape[2] + _GAP
    canvas = np.zeros((n_rows * height - _GAP, n_columns * width - _GAP), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // n_columns * height, index % n_columns * width
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas


def _image(shades: Bytes, magnify: int) -> Image.Image:
    return Image.fromarray(shades.repeat(magnify, axis=0).repeat(magnify, axis=1))

"""Images within the page: filters in one colour scale, and reconstructions, as PNG in data URIs."""

import base64
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeps.models.figures.tiles import draw_rows
from sweeps.models.image_shape import as_images

Array = NDArray[Any]
# Blue for negative weights, white for none, red for positive ones: told apart also without red-green vision.
_ANCHORS = (
    (0.0, (33, 74, 145)),
    (0.25, (111, 160, 207)),
    (0.5, (247, 247, 247)),
    (0.75, (226, 135, 97)),
    (1.0, (150, 30, 38)),
)
_GAP_INDEX = 255
_GAP_COLOUR = (128, 128, 128)
# The share of all weights that the colour scale spans, and how far it may exceed that of the median trial.
_SHOWN, _MOST_OF_MEDIAN = 0.995, 3.0
_LEVELS = 255  # one index of the palette is the gap


def colour_range(filters: Iterable[Array]) -> float:
    """Return the weight at the ends of a colour scale for all these filters: their 99.5th percentile in size.

    It is at most three times the median of the percentiles of the trials: one that diverged must not pale the others.
    """
    sizes = [np.abs(array[np.isfinite(array)]).ravel() for array in filters]
    sizes = [size for size in sizes if size.size]
    if not sizes:
        return 0.0
    median = float(np.median([np.quantile(size, _SHOWN) for size in sizes]))
    return min(float(np.quantile(np.concatenate(sizes), _SHOWN)), _MOST_OF_MEDIAN * median)


def filters_png(arrays: Mapping[str, Array], largest: float, n_filters: int) -> str | None:
    """Return the first filters as a square of tiles in a data URI, coloured from -largest to largest; None without."""
    filters = arrays.get("filters")
    if filters is None or filters.ndim != 2 or not filters.size:
        return None
    shown = filters[:n_filters]
    shape = tuple(int(size) for size in arrays["image_shape"]) if "image_shape" in arrays else None
    scaled = np.nan_to_num(np.clip(shown / (largest or 1.0), -1, 1))
    levels = np.rint((scaled + 1) / 2 * (_LEVELS - 1)).astype(np.uint8)
    if shape is None:
        return _as_uri(_with_palette(levels))
    tiles = as_images(levels, shape)
    if tiles.ndim == 4:  # colour images: the hues are those of the weights
        return _as_uri(Image.fromarray(_square(tiles)))
    return _as_uri(_with_palette(_square(tiles)))


def reconstructions_png(arrays: Mapping[str, Array]) -> str | None:
    """Return a row of validation samples above the row of their reconstructions, in a data URI; None without."""
    if "originals" not in arrays or "reconstructions" not in arrays:
        return None
    shape = tuple(int(size) for size in arrays["image_shape"]) if "image_shape" in arrays else None
    return _as_uri(draw_rows([arrays["originals"], arrays["reconstructions"]], shape, 128))


def palette() -> list[str]:
    """Return the colours of the scale from the lowest weight to the highest, as CSS has them."""
    return [f"rgb({red} {green} {blue})" for _, (red, green, blue) in _ANCHORS]


def _square(tiles: Array) -> Array:
    n_columns = int(np.ceil(np.sqrt(len(tiles))))
    n_rows = -(-len(tiles) // n_columns)
    height, width = tiles.shape[1] + 1, tiles.shape[2] + 1
    canvas = np.full((n_rows * height - 1, n_columns * width - 1, *tiles.shape[3:]), _GAP_INDEX, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // n_columns * height, index % n_columns * width
        canvas[top : top + height - 1, left : left + width - 1] = tile
    return canvas


def _with_palette(indices: Array) -> Image.Image:
    image = Image.fromarray(indices, "L")
    image = image.convert("P") if image.mode != "P" else image
    positions = np.linspace(0, 1, _LEVELS)
    at = [position for position, _ in _ANCHORS]
    channels = [np.interp(positions, at, [colour[channel] for _, colour in _ANCHORS]) for channel in range(3)]
    colours = np.rint(np.stack(channels, axis=1)).astype(int).ravel().tolist()
    image.putpalette([*colours, *_GAP_COLOUR])
    return image


def _as_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

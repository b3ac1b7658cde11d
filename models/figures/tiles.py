"""Pictures without axes, drawn by Pillow: filters and reconstructions as tiles, those of colour images in colour.

One data pixel is one image pixel, until `enlarged`. The functions keep no state: threads may draw concurrently.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeps.models.image_shape import Array, ImageShape, as_images

Bytes = NDArray[np.uint8]

GRID = 10  # tiles per side
GAP = 1  # pixels between tiles


def draw_filters(
    filters: Array, image_shape: ImageShape, scale: Literal["tile", "shared"] = "tile", grid: int = GRID
) -> Image.Image:
    """Draw the first filters (units, features) as `grid` x `grid` tiles with a gap of 1, row by row.

    `tile` stretches each filter from its own minimum to its maximum (Deep Learning Tutorials); `shared` uses one range
    for all that are drawn (theanets). The three channels of a colour filter share its range, so that its hues are those
    of its weights. Unused tiles, constant filters and values that are not finite are black. Without an image shape, the
    weights are drawn as one matrix, one row per unit.
    """
    if image_shape is None:
        return Image.fromarray(_stretch(filters, *value_range(filters)))
    drawn = filters[: grid * grid]
    tiles = np.zeros(drawn.shape, np.uint8)
    for tile, values in zip(tiles, drawn, strict=True):
        low, high = value_range(values)
        if low < high:
            tile[:] = _stretch(values, *(value_range(drawn) if scale == "shared" else (low, high)))
    return Image.fromarray(_mosaic(as_images(tiles, image_shape), grid, grid))


def draw_all_filters(filters: Array, image_shape: ImageShape, scale: Literal["tile", "shared"] = "tile") -> Image.Image:
    """Draw filters as `draw_filters` does, in the smallest square grid that holds them, without empty rows."""
    grid = min(GRID, max(1, math.ceil(math.sqrt(len(filters)))))
    picture = draw_filters(filters, image_shape, scale, grid)
    if image_shape is None:
        return picture
    n_rows = max(1, math.ceil(min(len(filters), grid * grid) / grid))
    tile_height = (picture.height + GAP) // grid
    return picture.crop((0, 0, picture.width, n_rows * tile_height - GAP))


def draw_rows(rows: Sequence[Array], image_shape: ImageShape, gap_shade: int = 0) -> Image.Image:
    """Draw versions of the same samples, each (samples, features), originals first: one row of tiles per version.

    All are drawn in the range of the originals, and clipped to it, so that the originals look the same in every epoch
    and trial. Tiles have a gap of 1. Without an image shape, each version is a matrix with one row per sample.
    """
    low, high = value_range(rows[0])
    shades = [_stretch(row, low, high) for row in rows]
    if image_shape is None:
        return Image.fromarray(_mosaic(np.stack(shades), len(rows), 1, gap_shade))
    tiles = np.concatenate([as_images(shade, image_shape) for shade in shades])
    return Image.fromarray(_mosaic(tiles, len(rows), len(rows[0]), gap_shade))


def enlarged(image: Image.Image, width: int = 640, height: int = 640) -> Image.Image:
    """Return the image at the largest whole scale that fits into `width` x `height`, at least 1."""
    times = max(1, min(width // image.width, height // image.height))
    return image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST)


def value_range(values: Array) -> tuple[float, float]:
    """Return the smallest and the largest finite value; (0, 0) if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _stretch(values: Array, low: float, high: float) -> Bytes:
    """Return shades from black at `low` to white at `high`, clipped; all black if the two are equal."""
    if low == high:
        return np.zeros(values.shape, np.uint8)
    finite = np.where(np.isfinite(values), values, low).astype(np.float64)
    return np.rint(np.clip((finite - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _mosaic(tiles: Bytes, n_rows: int, n_columns: int, gap_shade: int = 0) -> Bytes:
    """Return tiles (n, height, width[, 3]) laid out row by row on a background shade, by default black."""
    height, width = tiles.shape[1] + GAP, tiles.shape[2] + GAP
    canvas = np.full((n_rows * height - GAP, n_columns * width - GAP, *tiles.shape[3:]), gap_shade, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // n_columns * height, index % n_columns * width
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas

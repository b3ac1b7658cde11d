"""Pictures without axes, drawn by Pillow: filters and reconstructions as tiles.

One data pixel is one image pixel, until `enlarged`. The functions keep no state: threads may draw concurrently.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
ImageShape = tuple[int, int] | None

GRID = 10  # tiles per side
GAP = 1  # pixels between tiles


def draw_filters(
    filters: Array, image_shape: ImageShape, scale: Literal["tile", "shared"] = "tile", grid: int = GRID
) -> Image.Image:
    """Draw the first filters (units, features) as `grid` x `grid` tiles with a gap of 1, row by row.

    `tile` stretches each filter from its own minimum to its maximum (Deep Learning Tutorials); `shared` uses one range
    for all that are drawn (theanets). Unused tiles, constant filters and values that are not finite are black. Without
    an image shape, the weights are drawn as one matrix, one row per unit.
    """
    if image_shape is None:
        return Image.fromarray(_stretch(filters, *value_range(filters)))
    _check_features(filters, image_shape)
    drawn = filters[: grid * grid]
    tiles = np.zeros(drawn.shape, np.uint8)
    for tile, values in zip(tiles, drawn, strict=True):
        low, high = value_range(values)
        if low < high:
            tile[:] = _stretch(values, *(value_range(drawn) if scale == "shared" else (low, high)))
    return Image.fromarray(_mosaic(tiles.reshape(-1, *image_shape), grid, grid))


def draw_rows(rows: Sequence[Array], image_shape: ImageShape, gap_shade: int = 0) -> Image.Image:
    """Draw versions of the same samples, each (samples, features), originals first: one row of tiles per version.

    All are drawn in the range of the originals, and clipped to it, so that the originals look the same in every epoch
    and trial. Tiles have a gap of 1. Without an image shape, each version is a matrix with one row per sample.
    """
    low, high = value_range(rows[0])
    shades = [_stretch(row, low, high) for row in rows]
    if image_shape is None:
        return Image.fromarray(_mosaic(np.stack(shades), len(rows), 1, gap_shade))
    for row in rows:
        _check_features(row, image_shape)
    tiles = np.concatenate(shades).reshape(-1, *image_shape)
    return Image.fromarray(_mosaic(tiles, len(rows), len(rows[0]), gap_shade))


def enlarged(image: Image.Image, width: int = 640, height: int = 640) -> Image.Image:
    """Return the image at the largest whole scale that fits into `width` x `height`, at least 1."""
    times = max(1, min(width // image.width, height // image.height))
    return image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST)


def value_range(values: Array) -> tuple[float, float]:
    """Return the smallest and the largest finite value; (0, 0) if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _check_features(samples: Array, image_shape: tuple[int, int]) -> None:
    if samples.ndim != 2 or samples.shape[1] != math.prod(image_shape):
        raise ValueError(
            f"an image of {image_shape[0]}x{image_shape[1]} pixels needs {math.prod(image_shape)} features a row, "
            f"not an array of shape {samples.shape}: pass the data's own image shape, or None"
        )


def _stretch(values: Array, low: float, high: float) -> Bytes:
    """Return shades from black at `low` to white at `high`, clipped; all black if the two are equal."""
    if low == high:
        return np.zeros(values.shape, np.uint8)
    finite = np.where(np.isfinite(values), values, low).astype(np.float64)
    return np.rint(np.clip((finite - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _mosaic(tiles: Bytes, n_rows: int, n_columns: int, gap_shade: int = 0) -> Bytes:
    """Return tiles (n, height, width) laid out row by row on a background shade, by default black."""
    height, width = tiles.shape[1] + GAP, tiles.shape[2] + GAP
    canvas = np.full((n_rows * height - GAP, n_columns * width - GAP), gap_shade, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // n_columns * height, index % n_columns * width
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas

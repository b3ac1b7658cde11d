"""Panels: pictures to compare, side by side or in rows, with titles and captions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from sweeps.models.figures.tiles import GRID, draw_all_filters, draw_rows, enlarged, value_range
from sweeps.models.image_shape import Array, ImageShape

# MLflow scales an image down to its pane, 640 to 1,000 pixels wide: text remains legible at half size.
_PANEL_PIXELS = 580
_ROWS_PIXELS = 900
_MEAN_PIXELS = 120
_TITLE_SIZE, _CAPTION_SIZE = 28, 22
_MARGIN, _LINE = 14, 28
_TOP = 60  # below the title
_GAP_SHADE = 90  # visible between images with black edges


@dataclass(frozen=True)
class Panel:
    """A picture and the caption above it."""

    caption: str
    image: Image.Image


def draw_scales(title: str, filters: Array, image_shape: tuple[int, ...], mean: Array) -> Image.Image:
    """Draw the `mean` (features,) of the training images, and filters (units, features) in two scales, side by side.

    In its own range each filter shows its form; in one range for all, its strength. The mosaic is as small as possible:
    nine filters are 3x3 tiles.
    """
    low, high = value_range(filters[: GRID * GRID])
    picture = enlarged(draw_rows([mean[None]], image_shape), _MEAN_PIXELS, _MEAN_PIXELS)
    return _side_by_side(
        title,
        [
            Panel("mean of\nthe training\nimages", picture),
            Panel("each in its own range", _tiles(filters, image_shape)),
            Panel(f"one range for all: {low:.2g} to {high:.2g}", _tiles(filters, image_shape, shared=True)),
        ],
    )


def draw_stages(title: str, stages: Sequence[tuple[str, Array]], image_shape: ImageShape) -> Image.Image:
    """Draw filters (units, features) at stages of a training, side by side, with captions."""
    return _side_by_side(title, [Panel(caption, _tiles(filters, image_shape)) for caption, filters in stages])


def draw_labelled_rows(title: str, rows: Sequence[tuple[str, Array]], image_shape: ImageShape) -> Image.Image:
    """Draw versions of the same samples, each (samples, features), originals first, as labelled rows."""
    stacked = draw_rows([samples for _, samples in rows], image_shape, _GAP_SHADE)
    picture = enlarged(stacked, _ROWS_PIXELS, _ROWS_PIXELS)
    indent = max(_text_width(label) for label, _ in rows) + _MARGIN
    canvas = _canvas(title, indent + picture.width, picture.height, picture.mode)
    canvas.paste(picture, (_MARGIN + indent, _TOP))
    for index, (label, _) in enumerate(rows):
        middle = _TOP + round((index + 0.5) * picture.height / len(rows))
        _write(canvas, (indent, middle), label, "rm", align="right")
    return canvas


def _tiles(filters: Array, image_shape: ImageShape, *, shared: bool = False) -> Image.Image:
    picture = draw_all_filters(filters, image_shape, "shared" if shared else "tile")
    return enlarged(picture, _PANEL_PIXELS, _PANEL_PIXELS)


def _side_by_side(title: str, panels: Sequence[Panel]) -> Image.Image:
    """Draw panels with their upper edges aligned, and captions above them."""
    widths = [max(panel.image.width, _text_width(panel.caption)) for panel in panels]
    captions = _LINE * max(len(panel.caption.splitlines()) for panel in panels)
    height = captions + max(panel.image.height for panel in panels)
    canvas = _canvas(title, sum(widths) + _MARGIN * (len(panels) - 1), height, panels[0].image.mode)
    left, top = _MARGIN, _TOP + captions
    for panel, width in zip(panels, widths, strict=True):
        _write(canvas, (left, top - 4), panel.caption, "ld")
        canvas.paste(panel.image, (left, top))
        left += width + _MARGIN
    return canvas


def _canvas(title: str, width: int, height: int, mode: str) -> Image.Image:
    """Return a white canvas with a title, and below it room for `width` x `height` pixels within the margins.

    `mode` is Pillow's: that of the pictures, "L" for grey or "RGB".
    """
    wide = max(width, _text_width(title, _TITLE_SIZE)) + 2 * _MARGIN
    canvas = Image.new(mode, (wide, _TOP + height + _MARGIN), "white")
    _write(canvas, (_MARGIN, _MARGIN), title, "la", _TITLE_SIZE)
    return canvas


def _write(
    canvas: Image.Image, at: tuple[int, int], text: str, anchor: str, size: int = _CAPTION_SIZE, align: str = "left"
) -> None:
    """Write black text; `anchor` is Pillow's."""
    font = ImageFont.load_default(size)
    ImageDraw.Draw(canvas).multiline_text(at, text, "black", font, anchor=anchor, align=align)


def _text_width(text: str, size: int = _CAPTION_SIZE) -> int:
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, _, right, _ = pen.multiline_textbbox((0, 0), text, ImageFont.load_default(size))
    return math.ceil(right - left)

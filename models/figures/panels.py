"""Pictures of an autoencoder with their titles: what to compare lies side by side, or row below row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from sweeps.models.figures.tiles import GAP, GRID, Array, ImageShape, draw_filters, draw_rows, enlarged, value_range

# MLflow shows an image at most as wide as its pane, of 640 to 1,000 pixels: at half their size texts are still read.
_PANEL_PIXELS = 580
_ROWS_PIXELS = 900
_MEAN_PIXELS = 120
_TITLE_SIZE, _CAPTION_SIZE = 28, 22
_MARGIN, _LINE = 14, 28
_TOP = 60  # below the title
_GAP_SHADE = 90  # seen between images that are black at their edges


@dataclass(frozen=True)
class Panel:
    """A picture and what stands above it."""

    caption: str
    image: Image.Image


def draw_scales(title: str, filters: Array, image_shape: tuple[int, int], mean: Array) -> Image.Image:
    """Filters (units, features) in two scales side by side, beside them the `mean` (features,) of the training images.

    Left each filter in its own range, which shows its form; right all in one range, which shows its strength. As few
    tiles a side as hold them all: nine filters are a mosaic of 3x3.
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
    """Filters (units, features) at one or more stages of a training, under their captions, a unit in the same place."""
    return _side_by_side(title, [Panel(caption, _tiles(filters, image_shape)) for caption, filters in stages])


def draw_labelled_rows(title: str, rows: Sequence[tuple[str, Array]], image_shape: ImageShape) -> Image.Image:
    """Versions of the same samples, each (samples, features), originals first: a row below a row, named at its left."""
    stacked = draw_rows([samples for _, samples in rows], image_shape, _GAP_SHADE)
    picture = enlarged(stacked, _ROWS_PIXELS, _ROWS_PIXELS)
    indent = max(_text_width(label) for label, _ in rows) + _MARGIN
    canvas = _canvas(title, indent + picture.width, picture.height)
    canvas.paste(picture, (_MARGIN + indent, _TOP))
    for index, (label, _) in enumerate(rows):
        middle = _TOP + round((index + 0.5) * picture.height / len(rows))
        _write(canvas, (indent, middle), label, "rm", align="right")
    return canvas


def _tiles(filters: Array, image_shape: ImageShape, *, shared: bool = False) -> Image.Image:
    """As few tiles a side as hold all filters, at most 10, without the rows that stay empty."""
    grid = min(GRID, max(1, math.ceil(math.sqrt(len(filters)))))
    picture = draw_filters(filters, image_shape, "shared" if shared else "tile", grid)
    if image_shape is not None:
        n_rows = max(1, math.ceil(min(len(filters), grid * grid) / grid))
        picture = picture.crop((0, 0, picture.width, n_rows * (image_shape[0] + GAP) - GAP))
    return enlarged(picture, _PANEL_PIXELS, _PANEL_PIXELS)


def _side_by_side(title: str, panels: Sequence[Panel]) -> Image.Image:
    """Panels with their upper edges at one height, captions above them."""
    widths = [max(panel.image.width, _text_width(panel.caption)) for panel in panels]
    captions = _LINE * max(len(panel.caption.splitlines()) for panel in panels)
    height = captions + max(panel.image.height for panel in panels)
    canvas = _canvas(title, sum(widths) + _MARGIN * (len(panels) - 1), height)
    left, top = _MARGIN, _TOP + captions
    for panel, width in zip(panels, widths, strict=True):
        _write(canvas, (left, top - 4), panel.caption, "ld")
        canvas.paste(panel.image, (left, top))
        left += width + _MARGIN
    return canvas


def _canvas(title: str, width: int, height: int) -> Image.Image:
    """White, with a title, and below it room for `width` x `height` pixels within the margins."""
    wide = max(width, _text_width(title, _TITLE_SIZE)) + 2 * _MARGIN
    canvas = Image.new("L", (wide, _TOP + height + _MARGIN), "white")
    _write(canvas, (_MARGIN, _MARGIN), title, "la", _TITLE_SIZE)
    return canvas


def _write(
    canvas: Image.Image, at: tuple[int, int], text: str, anchor: str, size: int = _CAPTION_SIZE, align: str = "left"
) -> None:
    """Black text with Pillow's `anchor` at a place."""
    font = ImageFont.load_default(size)
    ImageDraw.Draw(canvas).multiline_text(at, text, "black", font, anchor=anchor, align=align)


def _text_width(text: str, size: int = _CAPTION_SIZE) -> int:
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, _, right, _ = pen.multiline_textbbox((0, 0), text, ImageFont.load_default(size))
    return math.ceil(right - left)

import numpy as np
import pytest
from PIL import Image

from sweeps.models.figures.panels import draw_labelled_rows, draw_scales, draw_stages
from sweeps.models.figures.tiles import draw_filters, draw_rows, enlarged

RNG = np.random.default_rng(0)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def place(canvas: Image.Image, picture: Image.Image) -> tuple[int, int]:
    """The top and left of the only exact occurrence of the picture on the canvas."""
    whole, part = pixels(canvas), pixels(picture)
    height, width = part.shape
    rows, columns = np.nonzero(whole[: -height or None, : -width or None] == part[0, 0])
    found = [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if np.array_equal(whole[row, column : column + width], part[0])
        and np.array_equal(whole[row : row + height, column : column + width], part)
    ]
    assert len(found) == 1, found
    return found[0]


def test_both_scales_are_drawn_side_by_side_with_the_mean_image() -> None:
    filters, mean = RNG.normal(size=(100, 64)) * np.arange(1, 101)[:, None], RNG.random(64)
    canvas = draw_scales("Filters", filters, (8, 8), mean)
    top, mean_left = place(canvas, enlarged(draw_rows([mean[None]], (8, 8)), 120, 120))
    own = place(canvas, enlarged(draw_filters(filters, (8, 8)), 580, 580))
    shared = place(canvas, enlarged(draw_filters(filters, (8, 8), "shared"), 580, 580))
    assert own[0] == shared[0] == top
    assert mean_left < own[1] < shared[1]


def test_nine_filters_form_a_three_by_three_mosaic() -> None:
    filters = RNG.normal(size=(9, 784))
    canvas = draw_scales("Filters", filters, (28, 28), RNG.random(784))
    place(canvas, enlarged(draw_filters(filters, (28, 28), grid=3), 580, 580))


def test_empty_tile_rows_are_omitted() -> None:
    filters = RNG.normal(size=(2, 784))
    canvas = draw_stages("Product", [("", filters)], (28, 28))
    place(canvas, enlarged(draw_filters(filters, (28, 28), grid=2).crop((0, 0, 57, 28)), 580, 580))
    assert canvas.height < 400


def test_a_filter_has_the_same_position_in_each_panel() -> None:
    before, after = RNG.normal(size=(60, 64)), RNG.normal(size=(60, 64))
    canvas = draw_stages("Filters", [("before", before), ("after", after)], (8, 8))
    pictures = [enlarged(draw_filters(stage, (8, 8), grid=8), 580, 580) for stage in (before, after)]
    (top, left), (other_top, other_left) = (place(canvas, picture) for picture in pictures)
    assert top == other_top
    assert other_left - left > pictures[0].width


def test_weights_without_an_image_shape_are_matrices_side_by_side() -> None:
    before, after = RNG.normal(size=(6, 9)), RNG.normal(size=(6, 9))
    canvas = draw_stages("Weights", [("before", before), ("after", after)], None)
    place(canvas, enlarged(draw_filters(before, None), 580, 580))
    place(canvas, enlarged(draw_filters(after, None), 580, 580))


@pytest.mark.parametrize("image_shape", [(8, 8), None])
def test_versions_of_a_sample_are_stacked_and_share_the_range_of_the_original(
    image_shape: tuple[int, int] | None,
) -> None:
    originals = RNG.random((10, 64))
    rows = [("originals", originals), ("PCA", originals / 2), ("autoencoder", originals * 3)]
    canvas = draw_labelled_rows("Reconstructions", rows, image_shape)
    assert canvas.width < 1200
    place(canvas, enlarged(draw_rows([samples for _, samples in rows], image_shape, gap_shade=90), 900, 900))


def test_every_title_caption_and_label_is_drawn() -> None:
    filters = RNG.normal(size=(4, 64))
    plain = pixels(draw_stages("", [("", filters)], (8, 8)))
    assert not np.array_equal(pixels(draw_stages("title", [("", filters)], (8, 8))), plain)
    assert not np.array_equal(pixels(draw_stages("", [("caption", filters)], (8, 8))), plain)
    wide = draw_stages("a title that is far longer than the picture below it is wide " * 2, [("", filters)], (8, 8))
    assert (pixels(wide)[:30, -60:-14] < 128).any()  # up to its end
    assert (pixels(wide)[:, -14:] == 255).all()  # within the margin


def test_pictures_of_colour_images_keep_their_colours() -> None:
    filters, samples = RNG.normal(size=(9, 6 * 6 * 3)), RNG.random((4, 6 * 6 * 3))
    canvases = [
        (draw_scales("Filters", filters, (6, 6, 3), samples[0]), draw_filters(filters, (6, 6, 3), grid=3), 580),
        (draw_stages("Filters", [("", filters)], (6, 6, 3)), draw_filters(filters, (6, 6, 3), grid=3), 580),
        (draw_labelled_rows("Samples", [("originals", samples)], (6, 6, 3)), draw_rows([samples], (6, 6, 3)), 900),
    ]
    for canvas, picture, size in canvases:
        assert canvas.mode == "RGB"
        expected = enlarged(picture, size, size).getcolors(maxcolors=10**6)
        found = {colour: count for count, colour in canvas.getcolors(maxcolors=10**6)}
        coloured = [(count, colour) for count, colour in expected if len(set(colour)) > 1]
        assert coloured
        assert all(found[colour] >= count for count, colour in coloured)

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sweeps.models.figures.tiles import draw_all_filters, draw_filters, draw_rows, enlarged

RNG = np.random.default_rng(0)


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "L"
    return np.asarray(image)


def tile(image: Image.Image, index: int, side: int) -> np.ndarray:
    top, left = index // 10 * (side + 1), index % 10 * (side + 1)
    return pixels(image)[top : top + side, left : left + side]


@pytest.mark.parametrize("n_units", [1, 9, 100, 500])
def test_any_number_of_28x28_filters_fills_289x289_pixels(n_units: int) -> None:
    assert draw_filters(RNG.normal(size=(n_units, 784)), (28, 28)).size == (289, 289)


def test_each_tile_holds_its_filter_stretched_from_black_to_white() -> None:
    filters = RNG.normal(size=(12, 9)) * np.geomspace(1e-6, 1e6, 12)[:, None]
    image = draw_filters(filters, (3, 3))
    for index, weights in enumerate(filters):
        expected = (weights - weights.min()) / (weights.max() - weights.min()) * 255
        assert np.abs(tile(image, index, 3).ravel() - expected).max() <= 0.5


def test_shared_scale_uses_one_range_for_all_filters() -> None:
    image = draw_filters(np.array([[0.0, 1, 2, 3], [1.0, 2, 2, 5]]), (2, 2), scale="shared")
    np.testing.assert_array_equal(tile(image, 0, 2).ravel(), [0, 51, 102, 153])
    np.testing.assert_array_equal(tile(image, 1, 2).ravel(), [51, 102, 102, 255])


@pytest.mark.parametrize("scale", ["tile", "shared"])
def test_constant_filters_unused_tiles_and_gaps_are_black(scale: str) -> None:
    filters = np.array([[0.0, 1, 2, 3], [7.0, 7, 7, 7]])
    image = draw_filters(filters, (2, 2), scale=scale)  # type: ignore[arg-type]
    lit = np.argwhere(pixels(image) > 0)
    assert lit.max() < 2


@pytest.mark.parametrize("scale", ["tile", "shared"])
def test_non_finite_values_are_black(scale: str) -> None:
    image = draw_filters(np.array([[np.nan, 1, 2, np.inf], [np.nan] * 4]), (2, 2), scale=scale)  # type: ignore[arg-type]
    np.testing.assert_array_equal(tile(image, 0, 2).ravel(), [0, 0, 255, 0])
    assert not tile(image, 1, 2).any()


def test_only_the_first_hundred_units_are_drawn() -> None:
    filters = RNG.normal(size=(120, 4))
    filters[110] = [-50, 0, 0, 50]
    np.testing.assert_array_equal(
        pixels(draw_filters(filters, (2, 2), scale="shared")), pixels(draw_filters(filters[:100], (2, 2), "shared"))
    )


def test_a_smaller_grid_holds_fewer_filters_in_larger_tiles() -> None:
    filters = RNG.normal(size=(9, 4))
    image = pixels(draw_filters(filters, (2, 2), grid=3))
    assert image.shape == (8, 8)
    np.testing.assert_array_equal(image[6:, 6:], tile(draw_filters(filters, (2, 2)), 8, 2))


@pytest.mark.parametrize(("n_units", "size"), [(1, (2, 2)), (3, (5, 5)), (5, (8, 5)), (100, (29, 29)), (120, (29, 29))])
def test_all_filters_are_drawn_in_the_smallest_grid_without_empty_rows(n_units: int, size: tuple[int, int]) -> None:
    filters = RNG.normal(size=(n_units, 4))
    picture = draw_all_filters(filters, (2, 2))
    assert picture.size == size
    grid = (size[0] + 1) // 3
    np.testing.assert_array_equal(pixels(picture), pixels(draw_filters(filters, (2, 2), grid=grid))[: size[1]])


@pytest.mark.parametrize(
    ("width", "height", "times"), [(289, 289, 2), (89, 17, 7), (84, 84, 7), (1, 100, 6), (700, 3, 1)]
)
def test_an_image_is_enlarged_by_the_largest_whole_number_that_fits(width: int, height: int, times: int) -> None:
    values = RNG.integers(0, 256, (height, width), np.uint8)
    image = pixels(enlarged(Image.fromarray(values), 640, 640))
    np.testing.assert_array_equal(image, np.kron(values, np.ones((times, times), np.uint8)))


def test_weights_without_an_image_shape_are_drawn_as_a_matrix() -> None:
    image = draw_filters(np.array([[0.0, 1, 2], [3, 4, 5]]), None)
    np.testing.assert_array_equal(pixels(image), [[0, 51, 102], [153, 204, 255]])


def test_non_square_images_keep_their_shape() -> None:
    weights = np.arange(6.0)
    np.testing.assert_array_equal(pixels(draw_filters(weights[None], (2, 3)))[:2, :3], [[0, 51, 102], [153, 204, 255]])


def test_a_wrong_image_shape_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"28x28 pixels needs 784 features a row, not an array of shape \(3, 64\)"):
        draw_filters(np.zeros((3, 64)), (28, 28))


def test_reconstructions_are_drawn_below_their_originals() -> None:
    originals, reconstructions = RNG.random((10, 64)), RNG.random((10, 64))
    originals[0, :2] = 0, 1
    image = pixels(draw_rows([originals, reconstructions], (8, 8)))
    assert image.shape == (17, 89)
    for index in range(10):
        columns = slice(9 * index, 9 * index + 8)
        np.testing.assert_array_equal(image[:8, columns].ravel(), np.rint(originals[index] * 255))
        np.testing.assert_array_equal(image[9:, columns].ravel(), np.rint(reconstructions[index] * 255))


def test_originals_look_the_same_beside_any_reconstruction() -> None:
    originals = RNG.random((3, 4))
    good = pixels(draw_rows([originals, originals], (2, 2)))
    wild = pixels(draw_rows([originals, originals * 100 - 50], (2, 2)))
    np.testing.assert_array_equal(good[:2], wild[:2])
    assert set(np.unique(wild[3:])) <= {0, 255}


def test_samples_without_an_image_shape_are_drawn_as_matrices() -> None:
    image = draw_rows([np.eye(4)[:3]] * 3, None)
    assert image.size == (4, 3 * 3 + 2)


def test_importing_the_figures_loads_neither_matplotlib_nor_torch() -> None:
    program = (
        "import sys, sweeps.models.figures.panels, sweeps.models.figures.plots, sweeps.models.figures.learning_curves\n"
        "print({'matplotlib', 'torch'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


COLOUR_FILTERS = RNG.normal(size=(2, 3 * 4 * 3)) * [[1.0], [100.0]]


def colours(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


def test_a_colour_filter_is_stretched_by_one_range_for_its_three_channels() -> None:
    picture = colours(draw_filters(COLOUR_FILTERS, (3, 4, 3)))
    assert picture.shape == (39, 49, 3)
    for index, weights in enumerate(COLOUR_FILTERS):
        expected = (weights - weights.min()) / (weights.max() - weights.min()) * 255
        tile_of_it = picture[:3, 5 * index : 5 * index + 4]
        assert np.abs(tile_of_it.ravel() - expected).max() <= 0.5


def test_filters_with_the_channels_first_look_the_same() -> None:
    last = RNG.normal(size=(2, 3, 4, 3))
    first = last.transpose(0, 3, 1, 2)
    drawn = [draw_filters(last.reshape(2, 36), (3, 4, 3)), draw_filters(first.reshape(2, 36), (3, 3, 4))]
    np.testing.assert_array_equal(*map(colours, drawn))


def test_colour_samples_are_drawn_in_colour() -> None:
    red = np.zeros((2, 2, 2, 3))
    red[..., 0] = 1
    picture = colours(draw_rows([red.reshape(2, 12), 1 - red.reshape(2, 12)], (2, 2, 3), gap_shade=90))
    assert picture.shape == (5, 5, 3)
    assert (picture[:2, :2] == [255, 0, 0]).all()
    assert (picture[3:, 3:] == [0, 255, 255]).all()
    assert (picture[2] == 90).all()

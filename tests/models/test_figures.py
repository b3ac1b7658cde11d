import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from models.figures import draw_filters, draw_loss_curve, draw_reconstructions, draw_rows, magnification

RNG = np.random.default_rng(0)


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "L"
    return np.asarray(image)


def tile(image: Image.Image, index: int, side: int) -> np.ndarray:
    top, left = index // 10 * (side + 1), index % 10 * (side + 1)
    return pixels(image)[top : top + side, left : left + side]


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("n_units", [1, 9, 100, 500])
def test_filters_of_28x28_fill_289x289_pixels_whatever_their_number(n_units: int) -> None:
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
def test_values_that_are_not_finite_are_black(scale: str) -> None:
    image = draw_filters(np.array([[np.nan, 1, 2, np.inf], [np.nan] * 4]), (2, 2), scale=scale)  # type: ignore[arg-type]
    np.testing.assert_array_equal(tile(image, 0, 2).ravel(), [0, 0, 255, 0])
    assert not tile(image, 1, 2).any()


def test_only_the_first_hundred_units_are_drawn() -> None:
    filters = RNG.normal(size=(120, 4))
    filters[110] = [-50, 0, 0, 50]
    np.testing.assert_array_equal(
        pixels(draw_filters(filters, (2, 2), scale="shared")), pixels(draw_filters(filters[:100], (2, 2), "shared"))
    )


def test_magnifying_repeats_each_pixel() -> None:
    filters = RNG.normal(size=(5, 64))
    once, thrice = pixels(draw_filters(filters, (8, 8))), pixels(draw_filters(filters, (8, 8), magnify=3))
    np.testing.assert_array_equal(thrice, np.kron(once, np.ones((3, 3), np.uint8)))


def test_weights_without_an_image_shape_are_drawn_as_a_matrix() -> None:
    image = draw_filters(np.array([[0.0, 1, 2], [3, 4, 5]]), None, magnify=2)
    assert image.size == (6, 4)
    np.testing.assert_array_equal(pixels(image)[::2, ::2], [[0, 51, 102], [153, 204, 255]])


def test_images_that_are_not_square_keep_their_shape() -> None:
    weights = np.arange(6.0)
    np.testing.assert_array_equal(pixels(draw_filters(weights[None], (2, 3)))[:2, :3], [[0, 51, 102], [153, 204, 255]])


def test_a_wrong_image_shape_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"28x28 pixels needs 784 features a row, not an array of shape \(3, 64\)"):
        draw_filters(np.zeros((3, 64)), (28, 28))


def test_reconstructions_stand_below_their_originals() -> None:
    originals, reconstructions = RNG.random((10, 64)), RNG.random((10, 64))
    originals[0, :2] = 0, 1
    image = pixels(draw_reconstructions(originals, reconstructions, (8, 8)))
    assert image.shape == (17, 89)
    for index in range(10):
        columns = slice(9 * index, 9 * index + 8)
        np.testing.assert_array_equal(image[:8, columns].ravel(), np.rint(originals[index] * 255))
        np.testing.assert_array_equal(image[9:, columns].ravel(), np.rint(reconstructions[index] * 255))


def test_originals_look_the_same_beside_any_reconstruction() -> None:
    originals = RNG.random((3, 4))
    good = pixels(draw_reconstructions(originals, originals, (2, 2)))
    wild = pixels(draw_reconstructions(originals, originals * 100 - 50, (2, 2)))
    np.testing.assert_array_equal(good[:2], wild[:2])
    assert set(np.unique(wild[3:])) <= {0, 255}


def test_samples_without_an_image_shape_are_drawn_as_matrices() -> None:
    image = draw_rows([np.eye(4)[:3]] * 3, None)
    assert image.size == (4, 3 * 3 + 2)


@pytest.mark.parametrize(
    ("image_shape", "expected"), [((28, 28), 2), ((8, 8), 7), ((100, 100), 1), ((64, 200), 1), (None, 32)]
)
def test_magnification_comes_near_the_width(image_shape: tuple[int, int] | None, expected: int) -> None:
    assert magnification(image_shape) == expected


CURVES = {
    "train/loss": ([1, 2, 3], [80.0, 60.0, 50.0]),
    "valid/mse": ([1, 2, 3], [0.05, 0.03, 0.02]),
    "valid/denoise_mse": ([1, 2, 3], [0.06, 0.04, 0.03]),
}


def test_loss_curve_is_a_png_of_800x500() -> None:
    assert decode(draw_loss_curve(CURVES, {"mean": 0.067, "PCA-30": 0.018})).shape == (500, 800, 3)


def test_every_curve_and_reference_changes_the_picture() -> None:
    references = {"mean": 0.067, "PCA-30": 0.018}
    pictures = {draw_loss_curve(CURVES, references), draw_loss_curve(CURVES, {"mean": 0.067})}
    pictures |= {draw_loss_curve({k: v for k, v in CURVES.items() if k != name}, references) for name in CURVES}
    assert len(pictures) == 5


@pytest.mark.parametrize(
    "series",
    [
        {},
        {"valid/mse": ([], [])},
        {"valid/mse": ([0], [0.1])},
        {"valid/mse": ([0, 1], [0.0, 0.1])},
        {"valid/mse": ([0, 1, 2], [0.1, float("nan"), float("inf")])},
        {"train/loss": (list(range(500)), [10 / (1 + e) for e in range(500)])},
    ],
)
def test_short_empty_and_diverged_histories_are_drawn(series: dict[str, tuple[list[int], list[float]]]) -> None:
    assert decode(draw_loss_curve(series, {})).shape == (500, 800, 3)


def test_reference_lines_cross_the_picture() -> None:
    picture = decode(draw_loss_curve({"valid/mse": ([1, 2], [0.05, 0.02])}, {"mean": 0.04}))
    grey = (np.ptp(picture, axis=2) == 0) & (picture[:, :, 0] < 140)  # black axes and the dashed line at 0.35
    assert np.count_nonzero(grey.sum(axis=1) > 300) >= 3  # two axes, one reference


def test_references_that_are_not_finite_are_left_out() -> None:
    assert draw_loss_curve(CURVES, {"mean": 0.067, "PCA": float("nan")}) == draw_loss_curve(CURVES, {"mean": 0.067})


def test_threads_draw_the_same_curve_at_once() -> None:
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: draw_loss_curve(CURVES, {"mean": 0.067}), range(8)))
    assert len(set(drawn)) == 1


def test_importing_the_figures_loads_neither_matplotlib_nor_torch() -> None:
    program = "import sys, models.figures; print({'matplotlib', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"

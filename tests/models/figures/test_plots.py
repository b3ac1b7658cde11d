import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sweeps.models.figures.plots import draw_codes, draw_loss_curve, draw_matrix

RNG = np.random.default_rng(0)


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def has(picture: np.ndarray, colour: str, within: int = 12) -> np.ndarray:
    """A mask of the pixels that have approximately a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.abs(picture - wanted).max(axis=2) <= within


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


def test_pretraining_losses_are_drawn_with_the_training_losses_not_with_the_errors() -> None:
    series = CURVES | {"pretrain/loss": ([1, 2, 3], [900.0, 500.0, 300.0])}
    olive = has(decode(draw_loss_curve(series, {})), "#bcbd22")
    assert olive[:, 500:].any()
    assert not olive[:, :450].any()


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


def test_reference_lines_span_the_panel() -> None:
    picture = decode(draw_loss_curve({"valid/mse": ([1, 2], [0.05, 0.02])}, {"mean": 0.04}))
    grey = (np.ptp(picture, axis=2) == 0) & (picture[:, :, 0] < 140)  # black axes and the dashed line at 0.35
    assert np.count_nonzero(grey.sum(axis=1) > 300) >= 3  # two axes, one reference


def rows_of(picture: np.ndarray, *, darker_than: int = 140) -> list[int]:
    """The rows where grey lines cross the left panel: its axes and the references."""
    grey = (np.ptp(picture, axis=2) == 0) & (picture[:, :, 0] < darker_than)
    return [int(row) for row in np.nonzero(grey[:, :480].sum(axis=1) > 200)[0]]


@pytest.mark.parametrize("last", [0.05, 0.02, 0.001])
def test_trials_on_the_same_data_are_drawn_on_the_same_axes(last: float) -> None:
    references = {"mean predictor": 0.067}
    first, other = (draw_loss_curve({"valid/mse": ([1, 2], [0.06, end])}, references) for end in (0.01, last))
    assert rows_of(decode(first)) == rows_of(decode(other))


def test_an_error_far_below_the_reference_is_drawn_on_more_decades() -> None:
    low, lower = (draw_loss_curve({"valid/mse": ([1, 2], [0.06, end])}, {"mean": 0.067}) for end in (0.01, 1e-9))
    assert has(decode(lower), "#1f77b4").any()
    assert rows_of(decode(low)) != rows_of(decode(lower))


def test_classification_error_has_its_own_panel() -> None:
    series = CURVES | {"valid/classification_error": ([1, 2, 3], [0.9, 0.1, 0.02])}
    picture = decode(draw_loss_curve(series, {"mean": 0.067}))
    red, blue = (np.nonzero(has(picture, colour))[1] for colour in ("#d62728", "#1f77b4"))
    assert red.min() > blue.max()


def test_non_finite_references_are_omitted() -> None:
    assert draw_loss_curve(CURVES, {"mean": 0.067, "PCA": float("nan")}) == draw_loss_curve(CURVES, {"mean": 0.067})


def test_concurrent_threads_draw_the_same_curve() -> None:
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: draw_loss_curve(CURVES, {"mean": 0.067}), range(8)))
    assert len(set(drawn)) == 1


BLUE, ORANGE = "#3f90da", "#ffa90e"
TWO_GROUPS = np.concatenate([RNG.normal(-5, 1, (200, 2)), RNG.normal(5, 1, (200, 2))])
LABELS = np.repeat([3, 7], 200)


def panels(codes: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    return [("PCA", "component", codes), ("autoencoder", "unit", -codes)]


def test_codes_of_two_models_are_drawn_side_by_side_in_class_colours() -> None:
    picture = decode(draw_codes("Codes", panels(TWO_GROUPS), LABELS))
    assert picture.shape == (460, 800, 3)
    left, right = picture[60:410, 50:365], picture[60:410, 425:735]
    # The first class lies at the lower left in the left panel, at the upper right in the right one.
    rows, columns = np.nonzero(has(left, BLUE))
    assert rows.mean() > 175
    assert columns.mean() < 155
    rows, columns = np.nonzero(has(right, BLUE))
    assert rows.mean() < 175
    assert columns.mean() > 155


def test_both_classes_are_in_the_legend() -> None:
    legend = decode(draw_codes("Codes", panels(TWO_GROUPS), LABELS))[:, 745:]
    assert has(legend, BLUE).any()
    assert has(legend, ORANGE).any()


def test_codes_without_labels_are_drawn_in_one_colour() -> None:
    picture = decode(draw_codes("Codes", panels(TWO_GROUPS), None))
    assert has(picture, BLUE).sum() > 300
    assert not has(picture, ORANGE).any()


def test_sample_order_hides_no_class() -> None:
    # Two classes at the same place, one after the other in the data: each still has about half of the dots on top.
    codes = RNG.normal(size=(4000, 2))
    picture = decode(draw_codes("Codes", [("code", "unit", codes)], np.repeat([0, 1], 2000)))
    blue, orange = has(picture, BLUE).sum(), has(picture, ORANGE).sum()
    assert 0.7 < blue / orange < 1.4


def test_more_classes_than_colours_are_drawn() -> None:
    labels = np.arange(400) % 37
    assert decode(draw_codes("Codes", panels(TWO_GROUPS), labels)).shape == (460, 800, 3)


def test_a_matrix_has_one_column_per_output_and_lists_its_largest_inputs() -> None:
    weights = np.zeros((10, 10))
    weights[8, 1] = 1.0  # output 8 looks at input 1: in the upper right, as in x W
    picture = decode(draw_matrix("Weights", weights))
    assert picture.shape == (420, 800, 3)
    image = picture[70:380, 50:350]
    rows, columns = np.nonzero(has(image, "#67001f"))  # the darkest red of the colour map
    assert rows.mean() < 100
    assert columns.mean() > 200


def test_a_matrix_marks_outputs_with_their_largest_weight_off_the_diagonal() -> None:
    identity, swapped = np.eye(10), np.eye(10)[[1, 0, *range(2, 10)]]
    red = "#d62728"
    assert not has(decode(draw_matrix("Weights", identity)), red).any()
    assert has(decode(draw_matrix("Weights", swapped)), red).any()


def test_identities_of_different_strength_share_a_colour_scale() -> None:
    # A diagonal of 0.5 is not stretched to the darkest red, which stands for 1.
    weak = decode(draw_matrix("Weights", np.eye(10) / 2))[70:380, 50:350]
    assert not has(weak, "#67001f").any()

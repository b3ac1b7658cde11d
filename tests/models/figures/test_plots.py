import io

import numpy as np
from PIL import Image

from sweeps.models.figures.plots import draw_codes, draw_matrix

RNG = np.random.default_rng(0)


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def has(picture: np.ndarray, colour: str, within: int = 12) -> np.ndarray:
    """A mask of the pixels that have approximately a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.abs(picture - wanted).max(axis=2) <= within


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

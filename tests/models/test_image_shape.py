import numpy as np
import pytest

from sweeps.models.image_shape import as_images

RNG = np.random.default_rng(0)
COLOUR = RNG.random((2, 4, 5, 3))


def test_grey_samples_have_a_height_and_a_width() -> None:
    images = RNG.random((2, 4, 5))
    np.testing.assert_array_equal(as_images(images.reshape(2, 20), (4, 5)), images)


def test_channels_come_last_whether_they_are_first_or_last_in_the_samples() -> None:
    np.testing.assert_array_equal(as_images(COLOUR.reshape(2, 60), (4, 5, 3)), COLOUR)
    channels_first = COLOUR.transpose(0, 3, 1, 2).reshape(2, 60)
    np.testing.assert_array_equal(as_images(channels_first, (3, 4, 5)), COLOUR)


@pytest.mark.parametrize("shape", [(4, 5), (5, 5, 3)])
def test_a_shape_that_does_not_fit_the_features_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"features a row, not an array of shape \(2, 60\)"):
        as_images(COLOUR.reshape(2, 60), shape)

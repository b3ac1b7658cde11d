"""Samples as images: grey, or in colour with the channels last or first."""

import math
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array = NDArray[Any]
# [height, width], [height, width, 3] or [3, height, width]; None if samples are no images.
ImageShape: TypeAlias = tuple[int, ...] | None

N_CHANNELS = 3


def as_images(samples: Array, image_shape: tuple[int, ...]) -> Array:
    """Return samples (n, features) as images: (n, height, width), or in colour (n, height, width, 3).

    Raises ValueError where the features are not the pixels of `image_shape`.
    """
    if samples.ndim != 2 or samples.shape[1] != math.prod(image_shape):
        raise ValueError(
            f"an image of {'x'.join(map(str, image_shape))} pixels needs {math.prod(image_shape)} features a row, "
            f"not an array of shape {samples.shape}: pass the data's own image shape, or None"
        )
    images = samples.reshape(-1, *image_shape)
    return images.transpose(0, 2, 3, 1) if _is_channels_first(image_shape) else images


def _is_channels_first(image_shape: tuple[int, ...]) -> bool:
    return len(image_shape) == N_CHANNELS and image_shape[-1] != N_CHANNELS

"""Samples as images: grey, or in colour with the channels last or first."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]
# [height, width], [height, width, 3] or [3, height, width]; None if samples are no images.
ImageShape: TypeAlias = tuple[int, ...] | None

N_CHANNELS = 3


@dataclass(frozen=True)
class SampleShape:
    """The shape of a sample: `n_features` in a row, which are the pixels of `image_shape` unless that is None.

    An image is [height, width], or in colour [height, width, 3] or [3, height, width].
    """

    n_features: int
    image_shape: ImageShape = None

    @property
    def channels_first(self) -> tuple[int, int, int]:
        """Channels, height and width of an image. Raises ValueError if samples are no images."""
        if self.image_shape is None:
            raise ValueError(f"samples must be images, and are rows of {self.n_features} features: set the image shape")
        if len(self.image_shape) < N_CHANNELS:
            height, width = self.image_shape
            return 1, height, width
        first, second, last = self.image_shape
        return (first, second, last) if _is_channels_first(self.image_shape) else (last, first, second)

    def as_images(self, x: "Tensor") -> "Tensor":
        """Return samples (batch, features) as images (batch, channels, height, width), as convolutions take them."""
        channels, height, width = self.channels_first
        if len(self.image_shape or ()) < N_CHANNELS or _is_channels_first(self.image_shape or ()):
            return x.reshape(-1, channels, height, width)
        return x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)

    def as_features(self, images: "Tensor") -> "Tensor":
        """Return images (batch, channels, height, width) as samples (batch, features): undo `as_images`."""
        if self.image_shape is not None and len(self.image_shape) == N_CHANNELS:
            images = images if _is_channels_first(self.image_shape) else images.permute(0, 2, 3, 1)
        return images.reshape(-1, self.n_features)


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

"""Per-sample standardisation of a network's input, undone on its output: raw values go in and raw values come out."""

from typing import NamedTuple

import torch
from torch import Tensor

# A standard deviation below this share of a sample's largest value is float32 rounding: the sample is constant.
_ROUNDING = 1e-6


class Standardized(NamedTuple):
    """Samples of mean 0 and standard deviation 1, and what restores them. A constant sample is 0, with deviation 0."""

    values: Tensor  # (batch, features)
    mean: Tensor  # (batch, 1)
    deviation: Tensor  # (batch, 1)

    def restore(self, outputs: Tensor) -> Tensor:
        """Return outputs (batch, features) in the samples' own units; for a constant sample, its mean."""
        return torch.addcmul(self.mean, outputs, self.deviation)


def standardize(x: Tensor, present: Tensor | None = None) -> Standardized:
    """Subtract each sample's mean over its features, and divide by its standard deviation: (batch, features).

    With `present`, a mask of the same shape, only those features count; if a sample has none, all do.
    """
    if present is None:
        mean = x.mean(dim=-1, keepdim=True)
        centred = x - mean
        deviation, largest = centred.square().mean(dim=-1, keepdim=True).sqrt(), x.abs().amax(dim=-1, keepdim=True)
    else:
        counts = present | ~present.any(dim=-1, keepdim=True)
        n_values = counts.sum(dim=-1, keepdim=True)
        mean = (x * counts).sum(dim=-1, keepdim=True) / n_values
        centred = x - mean
        deviation = ((centred.square() * counts).sum(dim=-1, keepdim=True) / n_values).sqrt()
        largest = (x.abs() * counts).amax(dim=-1, keepdim=True)
    varies = deviation > _ROUNDING * largest
    values = torch.where(varies, centred / torch.where(varies, deviation, 1.0), 0.0)
    return Standardized(values, mean, torch.where(varies, deviation, 0.0))


def relative(error: Tensor, deviation: Tensor) -> Tensor:
    """Return an error (batch, features) in units of `deviation`, 0 where that is 0.

    `deviation` is that of each sample, (batch, 1), or of each feature, (features,).
    """
    varies = deviation > 0
    return torch.where(varies, error / torch.where(varies, deviation, 1.0), 0.0)

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


def standardize(x: Tensor) -> Standardized:
    """Subtract each sample's mean over its features, and divide by its standard deviation: (batch, features)."""
    mean = x.mean(dim=-1, keepdim=True)
    centred = x - mean
    deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
    varies = deviation > _ROUNDING * x.abs().amax(dim=-1, keepdim=True)
    values = torch.where(varies, centred / torch.where(varies, deviation, 1.0), 0.0)
    return Standardized(values, mean, torch.where(varies, deviation, 0.0))


def as_seen(x: Tensor, *, standardizes: bool) -> tuple[Tensor, Standardized | None]:
    """Return the first layer's input for `x`, (batch, features), and if it is standardised, what restores it."""
    if not standardizes:
        return x, None
    standardized = standardize(x)
    return standardized.values, standardized


def relative(error: Tensor, deviation: Tensor) -> Tensor:
    """Return an error (batch, features) in units of each sample's `deviation` (batch, 1); 0 for constant samples."""
    varies = deviation > 0
    return torch.where(varies, error / torch.where(varies, deviation, 1.0), 0.0)

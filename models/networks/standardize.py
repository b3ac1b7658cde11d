"""Per-sample standardisation on a network's way in, and restoration on its way out: raw values go in and come back."""

from typing import NamedTuple

import torch
from torch import Tensor

# Below this share of a sample's largest value a standard deviation is float32's rounding: the sample is constant.
_ROUNDING = 1e-6


class Standardized(NamedTuple):
    """Samples with mean 0 and standard deviation 1, and what leads back; a constant sample is 0, with deviation 0."""

    values: Tensor  # (batch, features)
    mean: Tensor  # (batch, 1)
    deviation: Tensor  # (batch, 1)

    def restore(self, outputs: Tensor) -> Tensor:
        """Outputs for `values` in the samples' own units, (batch, features): the mean, for a constant sample."""
        return torch.addcmul(self.mean, outputs, self.deviation)


def standardize(x: Tensor) -> Standardized:
    """Subtract each sample's mean over its features and divide by its standard deviation: (batch, features)."""
    mean = x.mean(dim=-1, keepdim=True)
    centred = x - mean
    deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
    varies = deviation > _ROUNDING * x.abs().amax(dim=-1, keepdim=True)
    values = torch.where(varies, centred / torch.where(varies, deviation, 1.0), 0.0)
    return Standardized(values, mean, torch.where(varies, deviation, 0.0))


def as_seen(x: Tensor, *, standardizes: bool) -> tuple[Tensor, Standardized | None]:
    """What a network's first layer sees of `x`, (batch, features), and what leads back where it standardises."""
    if not standardizes:
        return x, None
    standardized = standardize(x)
    return standardized.values, standardized


def relative(error: Tensor, deviation: Tensor) -> Tensor:
    """An error (batch, features) in units of each sample's `deviation` (batch, 1); 0 for constant samples."""
    varies = deviation > 0
    return torch.where(varies, error / torch.where(varies, deviation, 1.0), 0.0)

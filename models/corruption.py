"""Corruption of inputs that a denoising autoencoder must undo (Vincent et al. 2010, section 3.3)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NoiseKind = Literal["masking", "gaussian", "salt_and_pepper"]

_STEPS = 2**16


@dataclass(frozen=True)
class Noise:
    """`level` is the probability that a value is corrupted or, for gaussian noise, the standard deviation added."""

    kind: NoiseKind = "masking"
    level: float = 0.0


def corrupt(x: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
    """A corrupted copy of `x`, (batch, features); `x` itself where the level is 0.

    What is kept is not rescaled. A probability is exact to 2⁻¹⁷, and at least 2⁻¹⁶ where it is above 0.
    """
    if noise.level == 0:
        return x
    return apply_draw(x, draw(x, noise.kind, generator), noise)


def draw(x: Tensor, kind: NoiseKind, generator: torch.Generator) -> Tensor:
    """Random numbers for one corruption of `x`, whatever the level: normal, or uniform over all 16-bit integers."""
    if kind == "gaussian":
        return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    # Four 16-bit numbers from each 64-bit draw: a third of the time of torch.rand, which takes as long as a small
    # network's forward pass.
    n_draws = -(-x.numel() // 4)
    bits = torch.empty(n_draws, dtype=torch.int64, device=x.device).random_(-(2**63), None, generator=generator)
    return bits.view(torch.int16)[: x.numel()].view(x.shape)


def apply_draw(x: Tensor, drawn: Tensor, noise: Noise) -> Tensor:
    """Corrupt `x` by what `draw` gave for it: the same draw at a higher level corrupts the same values and more."""
    if noise.kind == "gaussian":
        return torch.add(x, drawn, alpha=noise.level)
    if noise.kind == "masking":
        return x * (drawn > _threshold(noise.level))
    pepper_else_salt = (drawn > _threshold(noise.level / 2)).to(x.dtype)
    return torch.where(drawn > _threshold(noise.level), x, pepper_else_salt)


def _threshold(probability: float) -> int:
    """The 16-bit integer that a uniform one does not exceed with this probability."""
    return min(max(round(probability * _STEPS), 1), _STEPS) - 2**15 - 1

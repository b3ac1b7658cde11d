"""Corruption of inputs, which a denoising autoencoder learns to undo (Vincent et al. 2010, section 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sweeps.models.config import NetworkConfig

NoiseKind = Literal["masking", "gaussian", "salt_and_pepper"]

_STEPS = 2**16


@dataclass(frozen=True)
class Noise:
    """`level` is the probability that a value is corrupted; for gaussian noise, the standard deviation of the noise."""

    kind: NoiseKind = "masking"
    level: float = 0.0


def input_noise(model: NetworkConfig) -> Noise:
    """Return the corruption of a model's input: the first level of a stack."""
    return Noise(model.noise.kind, model.noise.level_of(0))


def corrupt(x: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
    """Return a corrupted copy of `x`, (batch, features); `x` itself at level 0.

    Values that are kept are not rescaled. A probability is exact to 2⁻¹⁷, and if above 0, at least 2⁻¹⁶.
    """
    if noise.level == 0:
        return x
    return apply_draw(x, draw(x, noise.kind, generator), noise)


def draw(x: Tensor, kind: NoiseKind, generator: torch.Generator) -> Tensor:
    """Draw random numbers to corrupt `x` at any level: normal, or uniform over all 16-bit integers."""
    if kind == "gaussian":
        return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    # Four 16-bit numbers from each 64-bit draw take a third of the time of torch.rand, which is as slow as a small
    # network's forward pass.
    n_draws = -(-x.numel() // 4)
    bits = torch.empty(n_draws, dtype=torch.int64, device=x.device).random_(-(2**63), None, generator=generator)
    return bits.view(torch.int16)[: x.numel()].view(x.shape)


def apply_draw(x: Tensor, drawn: Tensor, noise: Noise) -> Tensor:
    """Corrupt `x` by a `draw` for it; at a higher level, the same draw corrupts the same values and more."""
    if noise.kind == "gaussian":
        return torch.add(x, drawn, alpha=noise.level)
    if noise.kind == "masking":
        return x * (drawn > _threshold(noise.level))
    pepper_else_salt = (drawn > _threshold(noise.level / 2)).to(x.dtype)
    return torch.where(drawn > _threshold(noise.level), x, pepper_else_salt)


def _threshold(probability: float) -> int:
    """Return the 16-bit integer that a uniform one does not exceed with this probability."""
    return min(max(round(probability * _STEPS), 1), _STEPS) - 2**15 - 1


class SharedDraws:
    """Corruption for networks that train on the same batches: one draw per batch, applied at each network's level.

    `generator` returns a newly seeded generator for each kind of noise and number of features, so that a network gets
    what it would get if trained by itself.
    """

    def __init__(self, generator: Callable[[], torch.Generator]) -> None:
        self._new_generator = generator
        self._generators: dict[tuple[NoiseKind, int], torch.Generator] = {}
        self._drawn: dict[tuple[NoiseKind, int], Tensor] = {}
        self._corrupted: dict[tuple[Noise, int], tuple[Tensor, Tensor]] = {}

    def next_batch(self) -> None:
        """Discard the draws of the last batch."""
        self._drawn.clear()
        self._corrupted.clear()

    def corrupt(self, x: Tensor, noise: Noise) -> Tensor:
        """Return a corrupted copy of `x`, as `corrupt` does, or the copy of this batch for the same `x` and noise."""
        if noise.level == 0:
            return x
        key = noise, id(x)
        if key not in self._corrupted:
            # Keep `x` too: its id is unique only while it exists.
            self._corrupted[key] = x, apply_draw(x, self.drawn(x, noise.kind), noise)
        return self._corrupted[key][1]

    def drawn(self, x: Tensor, kind: NoiseKind) -> Tensor:
        """Return the `draw` of this batch for `x`, (batch, features)."""
        key = kind, x.shape[1]
        if key not in self._generators:
            self._generators[key] = self._new_generator()
        if key not in self._drawn:
            self._drawn[key] = draw(x, kind, self._generators[key])
        return self._drawn[key]


class NoiseLevels:
    """The levels of one kind of noise for K networks, applied in one operation."""

    def __init__(self, kind: NoiseKind, levels: Sequence[float], like: Tensor) -> None:
        self.kind = kind
        self._levels = torch.tensor(levels, dtype=like.dtype, device=like.device).view(-1, 1, 1)
        self._whole = self._thresholds(levels, like.device)
        self._half = self._thresholds([level / 2 for level in levels], like.device)

    @property
    def n_levels(self) -> int:
        """The number of networks, K."""
        return len(self._levels)

    def apply_draw(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Corrupt `x`, (batch, features) or (K, batch, features), at each level: (K, batch, features)."""
        if self.kind == "gaussian":
            return torch.addcmul(x, drawn, self._levels)
        kept = drawn > self._whole
        if self.kind == "masking":
            return x * kept
        return torch.where(kept, x, (drawn > self._half).to(x.dtype))

    @staticmethod
    def _thresholds(levels: Sequence[float], device: torch.device) -> Tensor:
        """Return thresholds (K, 1, 1); for level 0, which corrupts nothing, one below every 16-bit integer."""
        values = [_threshold(level) if level > 0 else -(2**15) - 1 for level in levels]
        return torch.tensor(values, dtype=torch.int32, device=device).view(-1, 1, 1)

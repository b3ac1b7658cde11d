"""Contrastive divergence: an objective that trains a layer as a restricted Boltzmann machine."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeps.models.networks.network import Activations, Batch
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.training.losses import ReconstructionLoss, reconstruction_loss
from sweeps.models.training.penalties import Penalties, penalised


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Lower the free energy of the data and raise that of the layer's own reconstructions: CD-1 (Hinton 2002).

    The machine has the weights W and the hidden biases c of the layer's encoder and the biases b of its decoder, whose
    own weights, if any, are not trained. With a = W v + c the free energy is F(v) = -b v - sum log(1 + exp(a)) for a
    logistic encoder, and F(v) = -b v - |a|² / 2 for a linear one: Gaussian units of variance 1 (Hinton and
    Salakhutdinov 2006). Visible units are logistic.

    The value is the reconstruction error, as is customary to monitor; the gradient is that of F(data) -
    F(reconstruction) with the reconstruction held fixed, that is, -(<h v> of the data - <h v> of the reconstruction).
    Penalties are part of both.
    """

    layer: ShallowAutoencoder
    penalties: Penalties = field(default_factory=Penalties)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights, hidden biases and visible biases."""
        yield from self.layer.encoder.parameters()
        yield self._visible_bias

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the penalised mean squared error of the reconstruction of a batch, whose inputs lie in [0, 1].

        Of the one Gibbs step, hidden states are sampled and visible ones are probabilities, as in the paper.
        """
        data = batch[0]  # (batch, features)
        logits = self.layer.encoder.logits(data)  # (batch, units)
        reconstruction = self._reconstruct(logits, generator)
        divergence = self._free_energy(data, logits)
        divergence = divergence - self._free_energy(reconstruction, self.layer.encoder.logits(reconstruction))
        error = functional.mse_loss(reconstruction, data)
        hidden = self.layer.encoder.activated(logits)
        return self._penalised(error + (divergence - divergence.detach()), hidden)

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the reconstruction error without sampling, through the layer's decoder, and the penalties."""
        error = reconstruction_loss(activations, batch[0], ReconstructionLoss("mse", "mean"))
        return error, self._penalised(torch.zeros_like(error), activations.code)

    @property
    def _visible_bias(self) -> nn.Parameter:
        bias = self.layer.decoder.bias
        assert bias is not None
        return bias

    @torch.no_grad()
    def _reconstruct(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Return visible probabilities for sampled hidden states: (batch, units) -> (batch, features)."""
        if self.layer.encoder.activation == "linear":
            noise = torch.randn(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
            states = logits + noise
        else:
            states = torch.bernoulli(torch.sigmoid(logits), generator=generator)
        return torch.sigmoid(functional.linear(states, self.layer.encoder.weight.t(), self._visible_bias))

    def _free_energy(self, visible: Tensor, logits: Tensor) -> Tensor:
        """Return F of `visible` (batch, features), mean over the batch; `logits` (batch, units) are W v + c."""
        if self.layer.encoder.activation == "linear":
            hidden = logits.square().sum() / 2
        else:
            hidden = functional.softplus(logits).sum()
        return -((visible @ self._visible_bias).sum() + hidden) / len(visible)

    def _penalised(self, loss: Tensor, hidden: Tensor) -> Tensor:
        return penalised(loss, [self.layer.encoder.weight], (hidden,), self.penalties)

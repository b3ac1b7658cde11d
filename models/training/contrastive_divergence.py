"""A layer as a restricted Boltzmann machine, trained by contrastive divergence like by any other objective."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeps.models.networks.network import Activations, Batch
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.training.losses import Loss, reconstruction_loss
from sweeps.models.training.penalties import Penalties, penalised


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Lower the free energy of the data and raise that of the layer's own reconstructions: CD-1 (Hinton 2002).

    The machine has the weights W and the hidden biases c of the layer's encoder and the biases b of its decoder, whose
    own weights, if it has any, it leaves alone. With a = W v + c its free energy is F(v) = -b v - sum log(1 + exp(a))
    where the encoder is logistic, and F(v) = -b v - |a|² / 2 where it is linear: Gaussian units of variance 1 (Hinton
    and Salakhutdinov 2006). Visible units are logistic.

    The value is the error of the reconstruction, which is what people watch; the gradient is that of F(data) -
    F(reconstruction) with the reconstruction held fixed, which is the negative of <h v> of the data - <h v> of the
    reconstruction. Penalties are part of both.
    """

    layer: ShallowAutoencoder
    penalties: Penalties = field(default_factory=Penalties)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Weights, hidden biases and visible biases."""
        yield from self.layer.encoder.parameters()
        yield self._visible_bias

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean squared error of the reconstruction of a batch in [0, 1], penalised; hidden states are drawn.

        Reconstructions are probabilities: one Gibbs step with what the paper's authors sample, and no more.
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
        """The error of the reconstruction by mean values, through the layer's decoder, and the penalties."""
        error = reconstruction_loss(activations, batch[0], Loss("mse", "mean"))
        return error, self._penalised(torch.zeros_like(error), activations.code)

    @property
    def _visible_bias(self) -> nn.Parameter:
        bias = self.layer.decoder.bias
        assert bias is not None
        return bias

    @torch.no_grad()
    def _reconstruct(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """From sampled hidden states, (batch, units) -> (batch, features)."""
        if self.layer.encoder.activation == "linear":
            noise = torch.randn(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
            states = logits + noise
        else:
            states = torch.bernoulli(torch.sigmoid(logits), generator=generator)
        return torch.sigmoid(functional.linear(states, self.layer.encoder.weight.t(), self._visible_bias))

    def _free_energy(self, visible: Tensor, logits: Tensor) -> Tensor:
        """F of visible states (batch, features) whose hidden units' inputs are `logits`, mean over the batch."""
        if self.layer.encoder.activation == "linear":
            hidden = logits.square().sum() / 2
        else:
            hidden = functional.softplus(logits).sum()
        return -((visible @ self._visible_bias).sum() + hidden) / len(visible)

    def _penalised(self, loss: Tensor, hidden: Tensor) -> Tensor:
        return penalised(loss, [self.layer.encoder.weight], (hidden,), self.penalties)

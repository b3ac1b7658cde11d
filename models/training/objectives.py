"""Objectives: the penalised loss that a training minimises, and the parameters that it trains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeps.models.config import NetworkConfig, StackedDenoisingConfig
from sweeps.models.networks.corruption import Noise, corrupt, input_noise
from sweeps.models.networks.network import Activations, Batch, Network
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.losses import ReconstructionLoss, loss_of, reconstruction_loss
from sweeps.models.training.penalties import Penalties, penalised, penalties_of


class Objective(Protocol):
    """A scalar to minimise over batches, and the parameters to train."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters to train."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the penalised loss of a batch; `generator` is for random draws."""

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return loss and penalties separately, from the `activations` of the clean `batch`."""


@dataclass(frozen=True)
class Reconstruction:
    """Reconstruct the clean input from its corruption (Vincent et al. 2008, eq. 4)."""

    network: Network
    loss: ReconstructionLoss = field(default_factory=ReconstructionLoss)
    noise: Noise = field(default_factory=Noise)
    penalties: Penalties = field(default_factory=Penalties)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield all parameters of the network."""
        return self.network.parameters()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the penalised reconstruction loss of a batch; labels are ignored."""
        return self.undoing(self.noisy(batch[0], lambda x, noise: corrupt(x, noise, generator)), batch[0])

    def noisy(self, clean: Tensor, corrupt: Callable[[Tensor, Noise], Tensor]) -> Tensor:
        """Return `clean` (batch, features) with this objective's noise, which `corrupt` applies; itself at level 0."""
        if self.noise.level == 0:
            return clean
        return self.network.preprocessing.corrupted(clean, lambda x: corrupt(x, self.noise))

    def undoing(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """Return the penalised loss of reconstructing `clean` from `noisy`, both (batch, features)."""
        activations = self.network(noisy)
        loss = reconstruction_loss(activations, clean, self.loss)
        return penalised(loss, self.network.weights(), activations.hidden, self.penalties)

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return reconstruction loss and penalties."""
        loss = reconstruction_loss(activations, batch[0], self.loss)
        return loss, penalised(torch.zeros_like(loss), self.network.weights(), activations.hidden, self.penalties)


@dataclass(frozen=True)
class Classification:
    """Fine-tune a stack on labels, without corruption; the decoder is not trained."""

    network: StackedDenoisingAutoencoder
    penalties: Penalties = field(default_factory=Penalties)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the encoder and the softmax layer."""
        return self.network.classifier_parameters()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the penalised cross-entropy of (inputs, labels), mean over the batch; `generator` is unused."""
        inputs, labels = batch
        hidden = self.network.hidden(inputs)
        loss = functional.cross_entropy(self.network.class_logits(hidden[-1]), labels)
        return penalised(loss, self.network.classifier_weights(), hidden, self.penalties)

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return cross-entropy and penalties."""
        weights = self.network.classifier_weights()
        loss = functional.cross_entropy(self.network.class_logits(activations.code), batch[1])
        hidden = activations.hidden[: len(weights) - 1]  # the encoder's: the decoder is not part of the classifier
        return loss, penalised(torch.zeros_like(loss), weights, hidden, self.penalties)


def reconstruction(section: NetworkConfig, network: Network) -> Reconstruction:
    """Return the objective of an autoencoder: reconstruct the input, from its corruption if the family denoises."""
    noise = input_noise(section) if section.denoises else Noise()
    return Reconstruction(network, loss_of(section), noise, penalties_of(section))


def fine_tuning(section: StackedDenoisingConfig, network: StackedDenoisingAutoencoder) -> Objective:
    """Return the objective of a pretrained stack: classification or reconstruction, without corruption."""
    if section.classifies:
        return Classification(network, penalties_of(section))
    return reconstruction(section, network)

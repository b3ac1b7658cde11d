"""What a training minimises: a loss with its penalties, and the parameters that it may change."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeps.models.config import AutoencoderConfig, StackedDenoisingConfig
from sweeps.models.networks.corruption import Noise, corrupt, input_noise
from sweeps.models.networks.network import Activations, Batch, Network
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.losses import Loss, loss_of, reconstruction_loss
from sweeps.models.training.penalties import Penalties, penalised, penalties_of


class Objective(Protocol):
    """A scalar to minimise over batches, and by what."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What the optimizer changes."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The penalised loss of a batch; corruption is drawn from `generator`."""

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss and the penalties apart, from the `activations` of the clean `batch`: nothing is corrupted."""


@dataclass(frozen=True)
class Reconstruction:
    """Undo the corruption of the input: compare with the clean input (Vincent et al. 2008, eq. 4)."""

    network: Network
    loss: Loss = field(default_factory=Loss)
    noise: Noise = field(default_factory=Noise)
    penalties: Penalties = field(default_factory=Penalties)

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of the network's."""
        return self.network.parameters()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Penalised reconstruction loss of `batch`, whose labels are not looked at."""
        return self.undoing(corrupt(batch[0], self.noise, generator), batch[0])

    def undoing(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """Penalised loss of the reconstruction of `clean`, (batch, features), from what corruption has left of it."""
        activations = self.network(noisy)
        loss = reconstruction_loss(activations, clean, self.loss)
        return penalised(loss, self.network.weights(), activations.hidden, self.penalties)

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """Reconstruction loss and penalties."""
        loss = reconstruction_loss(activations, batch[0], self.loss)
        return loss, penalised(torch.zeros_like(loss), self.network.weights(), activations.hidden, self.penalties)


@dataclass(frozen=True)
class Classification:
    """Fine-tune a stack on labels, without corruption; the decoder and its visible biases stay as they are."""

    network: StackedDenoisingAutoencoder
    penalties: Penalties = field(default_factory=Penalties)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The encoder's and the softmax's."""
        return self.network.classifier_parameters()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Penalised cross-entropy of (inputs, labels), mean over the batch; nothing is drawn from `generator`."""
        inputs, labels = batch
        hidden = self.network.hidden(inputs)
        loss = functional.cross_entropy(self.network.class_logits(hidden[-1]), labels)
        return penalised(loss, self.network.classifier_weights(), hidden, self.penalties)

    def terms(self, activations: Activations, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy and penalties."""
        weights = self.network.classifier_weights()
        loss = functional.cross_entropy(self.network.class_logits(activations.code), batch[1])
        hidden = activations.hidden[: len(weights) - 1]  # the encoder's: the decoder is no part of the classifier
        return loss, penalised(torch.zeros_like(loss), weights, hidden, self.penalties)


def reconstruction(section: AutoencoderConfig, network: Network) -> Reconstruction:
    """Return the objective of an autoencoder: reconstruct the input, from its corruption if the family denoises."""
    noise = input_noise(section) if section.denoises else Noise()
    return Reconstruction(network, loss_of(section), noise, penalties_of(section))


def fine_tuning(section: StackedDenoisingConfig, network: StackedDenoisingAutoencoder) -> Objective:
    """Return the objective of a pretrained stack: classification or reconstruction, without corruption."""
    if section.classifies:
        return Classification(network, penalties_of(section))
    return reconstruction(section, network)

"""What a training minimises: a loss with its penalties, and the parameters that it may change."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.corruption import Noise, corrupt
from models.losses import Loss, reconstruction_loss
from models.network import Batch, Network
from models.penalties import Penalties, penalised
from models.stacked_denoising import StackedDenoisingAutoencoder


class Objective(Protocol):
    """A scalar to minimise over batches, and by what."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What the optimizer changes."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The penalised loss of a batch; corruption is drawn from `generator`."""


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
        clean = batch[0]  # (batch, features)
        activations = self.network(corrupt(clean, self.noise, generator))
        loss = reconstruction_loss(activations, clean, self.loss)
        return penalised(loss, self.network.weights(), activations.hidden, self.penalties)


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

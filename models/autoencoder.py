"""The Lightning module that trains any network by any objective."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from models.config import Schedule
from models.errors import DivergedError
from models.network import Activations, Batch, Network
from models.objectives import Objective
from models.seeds import TRAINING_NOISE, seeded_generator
from models.validation import Validation

# Lightning calls a training_step that takes its batches itself experimental: our constraints pin the version tested.
warnings.filterwarnings("ignore", message="(Found|You are using the) `dataloader_iter`")


@dataclass(frozen=True)
class Optimizer:
    """Adam with its published defaults, or gradient descent with `momentum`.

    The `cosine` schedule lowers the rate epoch by epoch towards 0: rate * (1 + cos(pi * epoch / n_epochs)) / 2, with
    epochs counted from 0 (Loshchilov and Hutter 2017, eq. 5, without restarts).
    """

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    momentum: float = 0.0

    def rate(self, epoch: int, n_epochs: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * epoch / n_epochs)) / 2


class Autoencoder(LightningModule):
    """Trains `network` by `objective`, which may be about a part of it: the checkpoint holds all of it.

    Logs `train/loss`, the penalised loss averaged over an epoch's samples, and at each validation the `valid/...`
    metrics of `validation`; `metrics` holds the last of each as plain numbers. Batches are (inputs,) or (inputs,
    labels). Noise depends on (`seed`, `phase`, epoch) alone, so a training resumed at the end of an epoch goes on as if
    it had not been stopped. Raises DivergedError at the end of an epoch with a value that is not finite. Lightning sees
    an epoch as one batch: its callbacks' hooks around a batch run once an epoch, and max_steps is not looked at within.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        optimizer: Optimizer = Optimizer(),
        *,
        seed: int = 0,
        phase: int = 0,
        validation: Validation | None = None,
    ) -> None:
        super().__init__()
        # An epoch is one step to Lightning: its hooks around each step take as long as a small network's step does.
        self.automatic_optimization = False
        self.network = network
        self.objective = objective
        self.optimizer = optimizer
        self.seed = seed
        self.phase = phase
        self.validation = validation
        self.metrics: dict[str, float] = {}

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode: (batch, features)."""
        return self.network(x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimizer over what the objective may change, as a fused kernel."""
        parameters, rate = self.objective.parameters(), self.optimizer.learning_rate
        if self.optimizer.name == "adam":
            return torch.optim.Adam(parameters, lr=rate, fused=True)
        return torch.optim.SGD(parameters, lr=rate, momentum=self.optimizer.momentum, fused=True)

    def training_step(self, dataloader_iter: Iterator[tuple[Batch, int, int]]) -> None:
        """All steps of an epoch. Nothing is logged or read back from the device until the last is done."""
        trainer = self.trainer
        optimizer = trainer.optimizers[0]
        self._set_rate(optimizer)
        progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        generator = seeded_generator(self.seed, TRAINING_NOISE, self.phase, self.current_epoch, device=self.device)
        loss_sum = torch.zeros((), device=self.device, dtype=torch.float64)
        n_samples = 0
        for batch, _, _ in dataloader_iter:
            on_device = self._on_device(batch)
            loss = self.objective(on_device, generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            # What Lightning's wrapper around the optimizer does, but for its hooks: global_step counts these.
            progress.increment_ready()
            progress.increment_completed()
            loss_sum.add_(loss.detach(), alpha=len(batch[0]))
            n_samples += len(batch[0])
        self._record({"train/loss": loss_sum.item() / n_samples})
        if self.validation is not None and self.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1  # the last epoch is always validated

    def on_validation_epoch_start(self) -> None:
        """Begin the sums."""
        if self.validation is not None:
            self.validation.start(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # Lightning passes both
        """Add a batch to the sums."""
        if self.validation is not None:
            self.validation.update(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        if self.validation is not None:
            self._record({f"valid/{name}": value for name, value in self.validation.metrics().items()})

    def _set_rate(self, optimizer: torch.optim.Optimizer) -> None:
        """By the number of the epoch alone, so that a resumed training goes on at the rate it would have had."""
        n_epochs = self.trainer.max_epochs
        assert n_epochs is not None
        for group in optimizer.param_groups:
            group["lr"] = self.optimizer.rate(self.current_epoch, n_epochs)

    def _on_device(self, batch: Batch) -> Batch:
        return batch if batch[0].device == self.device else [part.to(self.device) for part in batch]

    def _record(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{name} is {value} at epoch {self.current_epoch + 1}: values must stay finite; "
                    f"lower the learning rate ({self.optimizer.learning_rate:g}) or the penalties"
                )
        self.metrics.update(metrics)
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=1)

"""One network in training, with its objective, its optimizer and its last metrics."""

import logging
import math
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sweeps.models.config import Schedule
from sweeps.models.errors import DivergedError
from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.network import Batch, Network
from sweeps.models.training.objectives import Objective, Reconstruction
from sweeps.models.training.validation import Validation

logger = logging.getLogger(__name__)


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
        """Return the learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * epoch / n_epochs)) / 2


class Member(nn.Module):
    """Trains `network` by `objective`, which may concern only a part of it; a checkpoint holds the whole network.

    `metrics` holds the last value of each metric. `error` is the exception that stopped its training, if any;
    `is_over` is set when it has stopped without an error.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        optimizer: Optimizer = Optimizer(),
        *,
        validation: Validation | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.optimizer = optimizer
        self.validation = validation
        self.metrics: dict[str, float] = {}
        self.error: Exception | None = None
        self.is_over = False

    @property
    def is_in_training(self) -> bool:
        """Whether it has not stopped."""
        return self.error is None and not self.is_over

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Turn an exception in the context into this member's `error`."""
        try:
            yield
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Stop its training with an error, whose traceback is logged and removed.

        The frames of a traceback keep their tensors alive, and the other members need that memory.
        """
        if error.__traceback__ is not None and not isinstance(error, DivergedError):
            # As text: whoever keeps the log record would keep the frames.
            logger.error("Training of a network stopped\n%s", "".join(traceback.format_exception(error)).rstrip())
        self.error = error
        cause: BaseException | None = error
        while cause is not None:
            cause.__traceback__ = None
            cause = cause.__cause__ or cause.__context__

    def torch_optimizer(self) -> torch.optim.Optimizer:
        """Return a fused optimizer of the parameters that the objective trains."""
        parameters, rate = self.objective.parameters(), self.optimizer.learning_rate
        if self.optimizer.name == "adam":
            return torch.optim.Adam(parameters, lr=rate, fused=True)
        return torch.optim.SGD(parameters, lr=rate, momentum=self.optimizer.momentum, fused=True)

    def loss(self, batch: Batch, draws: SharedDraws, generator: torch.Generator) -> Tensor:
        """Return the penalised loss of a batch; `generator` is for random draws other than corruption."""
        if isinstance(self.objective, Reconstruction):
            return self.objective.undoing(self.objective.noisy(batch[0], draws.corrupt), batch[0])
        return self.objective(batch, generator)

    def take(self, metrics: dict[str, float], epoch: int) -> None:
        """Keep metrics of an epoch, counted from 0. Raises DivergedError if one is not finite."""
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{name} is {value} at epoch {epoch + 1}: values must stay finite; "
                    f"lower the learning rate ({self.optimizer.learning_rate:g}) or the penalties"
                )
        self.metrics.update(metrics)


@dataclass(frozen=True)
class Trainee:
    """A member with its torch optimizer; `index` is its position in the pack."""

    index: int
    member: Member
    optimizer: torch.optim.Optimizer


def places(trainees: Sequence[Trainee]) -> Tensor:
    """Return the indices of members, on their device: (trainees,)."""
    device = next(trainees[0].member.network.parameters()).device
    return torch.tensor([trainee.index for trainee in trainees], device=device)

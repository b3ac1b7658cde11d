"""Trains one network by itself."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.network import Batch
from sweeps.models.training.member import Trainee, places
from sweeps.models.training.own_draws import OwnDraws


class Alone:
    """Trains one member by itself."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainees: Sequence[Trainee] = (trainee,)
        self.places = places(self.trainees)
        self._generator: torch.Generator | None = None
        self._draws = OwnDraws(trainee.member.network)

    def start_epoch(self, epoch: int, n_epochs: int, generator: torch.Generator) -> None:
        """Set the learning rate, which depends on the epoch alone: a resumed training uses the same."""
        (trainee,) = self.trainees
        self._generator = generator
        self._draws.start_epoch(generator)
        for group in trainee.optimizer.param_groups:
            group["lr"] = trainee.member.optimizer.rate(epoch, n_epochs)

    def step(self, batches: Sequence[Batch], draws: SharedDraws) -> Tensor:
        """Take a step; return the loss before it, (1,)."""
        (trainee,) = self.trainees
        assert self._generator is not None
        with self._draws():
            loss = trainee.member.loss(batches[trainee.index], draws, self._generator)
            trainee.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        trainee.optimizer.step()
        return loss.detach().view(1)

    def finish(self) -> None:
        """Return the member's own network, which was trained, to what measures it."""
        self._draws.finish_epoch()

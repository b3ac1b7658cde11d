"""What takes a step for members of a pack: for one by itself, or for several of one architecture as one network."""

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.network import Batch
from sweeps.models.training.member import Trainee, places
from sweeps.models.training.stack import Stack, architecture

logger = logging.getLogger(__name__)

# Values of a batch, samples times features, up to which a stack is the faster on a CPU: beyond, arithmetic takes
# the time, and padding adds to it (tests/benchmarks/test_packs.py measures both).
_STACKED_VALUES_ON_CPU = 2**15


class Learner(Protocol):
    """Trains some members."""

    @property
    def trainees(self) -> Sequence[Trainee]:
        """Those members."""

    @property
    def places(self) -> Tensor:
        """Their indices, on their device: (trainees,)."""

    def start_epoch(self, epoch: int, n_epochs: int, generator: torch.Generator) -> None:
        """Prepare for an epoch, counted from 0; `generator` is for objectives that draw more than corruption."""

    def step(self, batches: Sequence[Batch], draws: SharedDraws) -> Tensor:
        """One step of each, on its own of the `batches` of all members; their losses before it, (trainees,)."""

    def finish(self) -> None:
        """Bring the members' own networks and optimizers up to date."""


class Alone:
    """Trains one member."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainees: Sequence[Trainee] = (trainee,)
        self.places = places(self.trainees)
        self._generator: torch.Generator | None = None

    def start_epoch(self, epoch: int, n_epochs: int, generator: torch.Generator) -> None:
        """Set the rate by the number of the epoch alone, so that a resumed training goes on at the rate it would."""
        (trainee,) = self.trainees
        self._generator = generator
        for group in trainee.optimizer.param_groups:
            group["lr"] = trainee.member.optimizer.rate(epoch, n_epochs)

    def step(self, batches: Sequence[Batch], draws: SharedDraws) -> Tensor:
        """One step; the loss before it, (1,)."""
        (trainee,) = self.trainees
        assert self._generator is not None
        loss = trainee.member.loss(batches[trainee.index], draws, self._generator)
        trainee.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trainee.optimizer.step()
        return loss.detach().view(1)

    def finish(self) -> None:
        """Nothing: it has trained the member's own network."""


def alike(trainees: Sequence[Trainee], *, stacks: bool) -> list[list[Trainee]]:
    """Members that can share a learner: with `stacks` all of one architecture."""
    groups: dict[Hashable, list[Trainee]] = defaultdict(list)
    for trainee in trainees:
        groups[(architecture(trainee) if stacks else None) or trainee.index].append(trainee)
    return list(groups.values())


def learner_of(trainees: Sequence[Trainee]) -> Learner:
    """One for members that can share it."""
    return Stack(trainees) if len(trainees) > 1 else Alone(trainees[0])


def stacking_pays(batch_values: int, *, on_gpu: bool) -> bool:
    """Whether a stack is faster than its members one after the other; a batch has samples times features values."""
    return on_gpu or batch_values <= _STACKED_VALUES_ON_CPU


@contextmanager
def together(trainees: Sequence[Trainee]) -> Iterator[None]:
    """Let what is raised in the context end these members, as it ends one by itself.

    Memory that is out ends none of several: they go on, and can try again in halves.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError) and len(trainees) > 1:
            # Told in words: whatever keeps the record would keep the error, and with it the tensors of its frames.
            logger.warning("Out of memory: %d networks of one stack go on in halves (%s)", len(trainees), str(error))
            return
        for trainee in trainees:
            trainee.member.fail(error)


def halves(trainees: Sequence[Trainee]) -> list[Sequence[Trainee]]:
    """Two parts, or one, of the members that nothing has ended; none where it has ended all."""
    left = [trainee for trainee in trainees if trainee.member.is_in_training]
    middle = len(left) // 2
    return [half for half in (left[:middle], left[middle:]) if half]

"""Learners take the training steps of members: of one by itself, or of several as one stacked network."""

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.network import Batch
from sweeps.models.training.alone import Alone
from sweeps.models.training.member import Trainee
from sweeps.models.training.stack import Stack, architecture
from sweeps.models.training.trial_pack import can_pack

logger = logging.getLogger(__name__)

# Up to this many values in a batch, samples times features, a stack is faster on a CPU. Beyond, arithmetic dominates,
# and padding adds to it (tests/benchmarks/test_packs.py measures both).
_STACKED_VALUES_ON_CPU = 2**15


class Learner(Protocol):
    """Trains one or several members."""

    @property
    def trainees(self) -> Sequence[Trainee]:
        """The members that it trains."""

    @property
    def places(self) -> Tensor:
        """Their indices in the pack, on their device: (trainees,)."""

    def start_epoch(self, epoch: int, n_epochs: int, generator: torch.Generator) -> None:
        """Prepare for an epoch, counted from 0; `generator` is for random draws other than corruption."""

    def step(self, batches: Sequence[Batch], draws: SharedDraws) -> Tensor:
        """Take a step of each, with `batches` indexed by member; return the losses before it, (trainees,)."""

    def finish(self) -> None:
        """Write the result to the members' own networks and optimizers."""


def alike(trainees: Sequence[Trainee], *, stacks: bool) -> list[list[Trainee]]:
    """Group members that can share a learner: with `stacks`, those of one architecture."""
    groups: dict[Hashable, list[Trainee]] = defaultdict(list)
    for trainee in trainees:
        groups[(architecture(trainee) if stacks else None) or trainee.index].append(trainee)
    return [
        part
        for group in groups.values()
        for part in ([group] if len(group) == 1 or can_pack(group[0]) else [[trainee] for trainee in group])
    ]


def learner_of(trainees: Sequence[Trainee]) -> Learner:
    """Return the learner of members that can share one."""
    return Stack(trainees) if len(trainees) > 1 else Alone(trainees[0])


def stacking_pays(batch_values: int, *, on_gpu: bool) -> bool:
    """Return whether a stack is faster than its members in turn; `batch_values` is samples times features."""
    return on_gpu or batch_values <= _STACKED_VALUES_ON_CPU


@contextmanager
def together(trainees: Sequence[Trainee]) -> Iterator[None]:
    """Turn an exception in the context into the `error` of these members.

    If several run out of memory, none of them stops: they can continue in halves.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError) and len(trainees) > 1:
            # As text: whoever keeps the log record would keep the error, and with it the tensors of its frames.
            logger.warning("Out of memory: splitting a stack of %d networks in halves (%s)", len(trainees), str(error))
            return
        for trainee in trainees:
            trainee.member.fail(error)


def halves(trainees: Sequence[Trainee]) -> list[Sequence[Trainee]]:
    """Return the members still in training as two halves; fewer if fewer remain."""
    remaining = [trainee for trainee in trainees if trainee.member.is_in_training]
    middle = len(remaining) // 2
    return [half for half in (remaining[:middle], remaining[middle:]) if half]

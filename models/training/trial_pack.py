"""Whether plug-in networks can train as one stacked network: tried on two copies before any trial depends on it."""

import copy
import logging
from collections.abc import Hashable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sweeps.errors import reason_of
from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.networks.seeds import TRAINING_NOISE, seeded_generator
from sweeps.models.training.alone import Alone
from sweeps.models.training.member import Member, Optimizer, Trainee
from sweeps.models.training.objectives import Reconstruction
from sweeps.models.training.penalties import Penalties
from sweeps.models.training.stack import Stack, stack_kind

logger = logging.getLogger(__name__)

_MAX_REASON = 300
_N_STEPS, _N_SAMPLES, _RATE, _PENALTY = 3, 8, 0.1, 1e-3
# Stacked sums round in another order; a mistake, such as one network's statistics in another, is larger by far.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
_verdicts: dict[Hashable, str | None] = {}


def can_pack(trainee: Trainee) -> bool:
    """Return whether a member can be stacked with its like. Log why not, once for each kind of network."""
    network, objective = trainee.member.network, trainee.member.objective
    if not isinstance(network, PluginNetwork):
        return True
    assert isinstance(objective, Reconstruction)
    kind = stack_kind(objective)
    if kind not in _verdicts:
        reason = _verdicts[kind] = why_not_packed(objective)
        if reason is not None:
            logger.warning("%s is not packed: %s. Its trials train one by one", network.section.name, reason)
    return _verdicts[kind] is None


def why_not_packed(objective: Reconstruction) -> str | None:
    """Return why networks like the objective's cannot train as one; None if they can.

    Two copies with different weights take a few steps as one, and by themselves: the results must agree.
    """
    try:
        pair = [_copied(objective, number) for number in range(2)]
        alone, stacked = copy.deepcopy(pair), copy.deepcopy(pair)
        _train_alone(alone)
    except Exception as error:  # code of the user's own may raise anything: in training it is the trial's result
        return f"it raised {reason_of(error)[:_MAX_REASON].rstrip(' .')}"
    try:
        _train_stacked(stacked)
    except Exception as error:
        return f"torch.func.vmap cannot train several as one: {reason_of(error)[:_MAX_REASON].rstrip(' .')}"
    for one, other in zip(alone, stacked, strict=True):
        for name, tensor in one.network.state_dict().items():
            if not _agree(tensor, other.network.state_dict()[name]):
                return f"trained as one, {name.removeprefix('module.')} differs from what it is if trained by itself"
    return None


def _copied(objective: Reconstruction, number: int) -> Reconstruction:
    """Return the objective of a copy, with all penalties and with weights of its own."""
    copied = copy.deepcopy(objective)
    generator = seeded_generator(number)
    weights = _PENALTY if copied.network.weights() else 0.0
    with torch.no_grad():
        for parameter in copied.network.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter.add_(noise, alpha=0.05 * float(parameter.abs().mean()) + 1e-3)
    penalties = Penalties(weights, weights, _PENALTY, objective.penalties.reduction)
    return replace(copied, penalties=penalties)


def _train_alone(objectives: Sequence[Reconstruction]) -> None:
    for trainee in _trainees(objectives):
        _train(Alone(trainee), objectives)


def _train_stacked(objectives: Sequence[Reconstruction]) -> None:
    _train(Stack(_trainees(objectives)), objectives)


def _train(learner: Alone | Stack, objectives: Sequence[Reconstruction]) -> None:
    """Take the same steps whatever else trains: `objectives` give the number of members, device and sizes."""
    learner.start_epoch(0, 1, _generator(objectives))
    draws = SharedDraws(lambda: _generator(objectives))
    for batch in _batches(objectives):
        draws.next_batch()
        learner.step([(batch,)] * len(objectives), draws)
    learner.finish()


def _trainees(objectives: Sequence[Reconstruction]) -> list[Trainee]:
    members = [Member(objective.network, objective, Optimizer("sgd", _RATE)) for objective in objectives]
    return [Trainee(number, member, member.torch_optimizer()) for number, member in enumerate(members)]


def _batches(objectives: Sequence[Reconstruction]) -> list[Tensor]:
    generator, like = seeded_generator(0), next(objectives[0].network.parameters())
    size = (_N_SAMPLES, objectives[0].network.input_size)
    return [torch.rand(size, generator=generator).to(like) for _ in range(_N_STEPS)]


def _generator(objectives: Sequence[Reconstruction]) -> torch.Generator:
    return seeded_generator(0, TRAINING_NOISE, device=next(objectives[0].network.parameters()).device)


def _agree(one: Tensor, other: Tensor) -> bool:
    if not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)

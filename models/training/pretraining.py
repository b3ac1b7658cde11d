"""The phases of a training: for a stack, layer-wise pretraining first; then the whole network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from sweeps.models.config import StackedDenoisingConfig
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.contrastive_divergence import ContrastiveDivergence
from sweeps.models.training.layer_digest import layer_settings
from sweeps.models.training.losses import loss_of
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.objectives import Objective, Reconstruction
from sweeps.models.training.penalties import penalties_of


@dataclass(frozen=True)
class Phase:
    """One Lightning fit of a network. The phases of a network share its parameters and run in order, "train" last.

    `validate_every` is in epochs; a pretraining phase has nothing to validate, so its value lies beyond its end. An
    epoch makes `passes` passes over the samples.

    `inputs` maps clean samples (batch, features) to this phase's clean inputs; None: the samples themselves. Call it
    after the phases before this one, and once: the inputs do not change while the phase trains. Call `finish`, if
    given, after the fit; calling it twice does no harm.

    `layer` is the part of the network that this phase trains, if other trials can reuse it; `layer_settings` are the
    plain settings that, with the data and the seeds, decide it (see `prefix.layer_digest`).
    """

    name: str
    member: Member
    epochs: int
    batch_size: int
    validate_every: int
    inputs: Callable[[Tensor], Tensor] | None = None
    passes: int = 1
    finish: Callable[[], None] | None = None
    layer: nn.Module | None = None
    layer_settings: Mapping[str, Any] | None = None


def pretraining_phases(section: StackedDenoisingConfig, network: StackedDenoisingAutoencoder) -> list[Phase]:
    """Return a phase for each layer, "pretrain/1" first; none if pretraining has no epochs."""
    if section.pretraining.epochs == 0:
        return []
    return [_phase(section, network, k) for k in range(len(section.hidden_sizes))]


def _phase(section: StackedDenoisingConfig, network: StackedDenoisingAutoencoder, k: int) -> Phase:
    settings, layer = section.pretraining, network.layer(k)
    rate, _ = section.pretraining_rate(k)
    optimizer = Optimizer(settings.optimizer, rate, settings.schedule, settings.momentum)
    return Phase(
        name=f"pretrain/{k + 1}",
        member=Member(network, _objective(section, layer, k), optimizer),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        validate_every=settings.epochs + 1,
        inputs=partial(network.inputs_of_layer, k) if k else None,
        finish=partial(network.unroll_layer, k) if settings.uses_boltzmann_machines else None,
        layer=layer,
        layer_settings=layer_settings(section, k + 1),
    )


def _objective(section: StackedDenoisingConfig, layer: ShallowAutoencoder, k: int) -> Objective:
    """Return what layer `k` minimises, by the method that the section names."""
    if section.pretraining.uses_boltzmann_machines:
        return ContrastiveDivergence(layer, penalties_of(section))
    noise = Noise(section.noise.kind, section.noise.level_of(k))
    return Reconstruction(layer, loss_of(section), noise, penalties_of(section))

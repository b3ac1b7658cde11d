"""The phases of a training: layer by layer first, where the network is stacked, then the whole."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from sweeps.models.config import StackedDenoisingConfig
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.contrastive_divergence import ContrastiveDivergence
from sweeps.models.training.losses import Loss
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.objectives import Objective, Reconstruction
from sweeps.models.training.penalties import Penalties


@dataclass(frozen=True)
class Phase:
    """What one Lightning fit does for a network. Its phases share its parameters and run in order, "train" the last.

    `inputs` maps clean pixels (batch, features) to this phase's clean inputs; None: the pixels themselves. It must be
    called after the phases before have run, and once: those inputs do not change while the phase trains. An epoch is
    `passes` through the samples. `validate_every` is in epochs; a pre-training phase has nothing to validate, so there
    it is past the end. `finish`, where there is one, must be called after the fit; twice does no harm.
    """

    name: str
    member: Member
    epochs: int
    batch_size: int
    validate_every: int
    inputs: Callable[[Tensor], Tensor] | None = None
    passes: int = 1
    finish: Callable[[], None] | None = None


def pretraining_phases(
    network: StackedDenoisingAutoencoder, model: StackedDenoisingConfig, *, loss: Loss, penalties: Penalties
) -> list[Phase]:
    """A phase for each layer, "pretrain/1" first: none where no epochs are asked for."""
    settings = model.pretraining
    if settings.epochs == 0:
        return []
    return [
        Phase(
            name=f"pretrain/{k + 1}",
            member=Member(network, _objective(network, k, model, loss, penalties), optimizer),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            validate_every=settings.epochs + 1,
            inputs=partial(network.inputs_of_layer, k) if k else None,
            finish=partial(network.unroll_layer, k) if settings.samples else None,
        )
        for k, optimizer in enumerate(_optimizers(model))
    ]


def _objective(
    network: StackedDenoisingAutoencoder, k: int, model: StackedDenoisingConfig, loss: Loss, penalties: Penalties
) -> Objective:
    """What layer `k` minimises, by the method that the model names."""
    if model.pretraining.samples:
        return ContrastiveDivergence(network.layer(k), penalties)
    level = model.noise.level
    noise = Noise(model.noise.kind, level[k] if isinstance(level, tuple) else level)
    return Reconstruction(network.layer(k), loss, noise, penalties)


def _optimizers(model: StackedDenoisingConfig) -> list[Optimizer]:
    """One a layer: the last, whose units may be of another kind, can have a rate of its own."""
    settings, n_layers = model.pretraining, len(model.hidden_sizes)
    rates = [settings.rate_of(k, n_layers)[0] for k in range(n_layers)]
    return [Optimizer(settings.optimizer, rate, settings.schedule, settings.momentum) for rate in rates]

"""The phases of a training: layer by layer first, where the network is stacked, then the whole."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from models.autoencoder import Autoencoder, Optimizer
from models.config import StackedDenoisingConfig
from models.corruption import Noise
from models.losses import Loss
from models.objectives import Reconstruction
from models.penalties import Penalties
from models.stacked_denoising import StackedDenoisingAutoencoder


@dataclass(frozen=True)
class Phase:
    """One Lightning fit. Phases share their network's parameters and run in order; the last is named "train".

    `inputs` maps clean pixels (batch, features) to this phase's clean inputs; None: the pixels themselves. It must be
    called after the phases before have run, and once: those inputs do not change while the phase trains. An epoch is
    `passes` through the samples. `validate_every` is in epochs; a pre-training phase has nothing to validate, so there
    it is past the end.
    """

    name: str
    module: Autoencoder
    epochs: int
    batch_size: int
    validate_every: int
    inputs: Callable[[Tensor], Tensor] | None = None
    passes: int = 1


def pretraining_phases(
    network: StackedDenoisingAutoencoder, model: StackedDenoisingConfig, *, loss: Loss, penalties: Penalties, seed: int
) -> list[Phase]:
    """A phase for each layer, "pretrain/1" first: none where no epochs are asked for."""
    settings = model.pretraining
    if settings.epochs == 0:
        return []
    phases = []
    for k, level in enumerate(_noise_levels(model)):
        objective = Reconstruction(network.layer(k), loss, Noise(model.noise.kind, level), penalties)
        optimizer = Optimizer(settings.optimizer, settings.learning_rate, settings.schedule)
        phases.append(
            Phase(
                name=f"pretrain/{k + 1}",
                module=Autoencoder(network, objective, optimizer, seed=seed, phase=k),
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                validate_every=settings.epochs + 1,
                inputs=partial(network.inputs_of_layer, k) if k else None,
            )
        )
    return phases


def _noise_levels(model: StackedDenoisingConfig) -> tuple[float, ...]:
    level = model.noise.level
    return level if isinstance(level, tuple) else (level,) * len(model.hidden_sizes)

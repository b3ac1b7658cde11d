"""From config sections to networks and the phases of their training, and from networks to files and back.

A section names the functions that build its parts (see `models.config.autoencoder`): nothing here knows the families.
"""

from pathlib import Path
from pkgutil import resolve_name
from typing import IO

from sweeps.models import saved_network
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.errors import ModelError
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.image_shape import SampleShape
from sweeps.models.metrics import References
from sweeps.models.networks.corruption import input_noise
from sweeps.models.networks.network import Network
from sweeps.models.networks.seeds import WEIGHTS, seeded_generator
from sweeps.models.saved_network import zero_network
from sweeps.models.tensor_file import Readable
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.objectives import Objective
from sweeps.models.training.pretraining import Phase
from sweeps.models.training.validation import Validation

__all__ = ["Phase", "build_network", "build_phases", "input_noise", "load_network", "save_network"]


def build_network(
    model: ModelConfig,
    *,
    input_size: int | SampleShape,
    n_classes: int | None,
    seed: int,
    statistics: FeatureStatistics | None = None,
) -> Network:
    """Return a network with its initial weights, which `seed` decides.

    `input_size` is the number of features, or the whole shape of a sample: a plug-in network may need to know that its
    samples are images. `statistics` are those of the training split: needed to standardise features, or to fill missing
    values. Raises ModelError if the model is to be fine-tuned on labels and `n_classes` is None, or if it needs
    `statistics`.
    """
    shape = SampleShape(input_size) if isinstance(input_size, int) else input_size
    network = zero_network(model, shape, n_classes)
    if statistics is not None:
        network.preprocessing.set_statistics(statistics)
    elif network.preprocessing.scales_features:
        raise ModelError("model.standardize feature needs the statistics of the training split, and got none")
    resolve_name(model.initialise)(network, model, seeded_generator(seed, WEIGHTS))
    return network


def build_phases(
    model: ModelConfig,
    training: TrainingConfig,
    *,
    input_size: int | SampleShape,
    n_classes: int | None,
    references: References | None = None,
    statistics: FeatureStatistics | None = None,
) -> list[Phase]:
    """Return the fits that make up a training, in order; the last trains the whole network and validates it.

    `references` are in the units of the network's errors. Raises ModelError as `build_network` does.
    """
    network = build_network(
        model, input_size=input_size, n_classes=n_classes, seed=training.seed, statistics=statistics
    )
    objective: Objective = resolve_name(model.objective)(model, network)
    member = Member(
        network,
        objective,
        Optimizer(training.optimizer, training.learning_rate, training.schedule, training.momentum),
        validation=Validation(network, input_noise(model), references),
    )
    last = Phase(
        "train",
        member,
        training.epochs,
        training.batch_size,
        training.validate_every,
        passes=training.passes_per_epoch,
    )
    return [*_pretraining_phases(model, network), last]


def save_network(file: Path | IO[bytes], model: ModelConfig, network: Network) -> None:
    """Write a network as plain values and tensors."""
    content = saved_network.dumps(model, network)
    if isinstance(file, Path):
        file.write_bytes(content)
    else:
        file.write(content)


def load_network(path: Readable, plugin: str | None = None) -> Network:
    """Read a file written by `save_network`, onto the CPU. Raises ModelError if the file is something else.

    `plugin` is the only plug-in network that may be imported for it, by its name in the sweep file.
    """
    return saved_network.read(path, plugin).network


def _pretraining_phases(model: ModelConfig, network: Network) -> list[Phase]:
    if model.pretraining_phases is None:
        return []
    phases: list[Phase] = resolve_name(model.pretraining_phases)(model, network)
    return phases

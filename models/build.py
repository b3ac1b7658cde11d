"""From config sections to networks and the phases of their training, and from networks to files and back.

A section names the functions that build its parts (see `models.config.autoencoder`): nothing here knows the families.
"""

import io
import pickle
from pathlib import Path
from pkgutil import resolve_name
from typing import IO, Any, Protocol

import torch
from pydantic import TypeAdapter, ValidationError

from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.errors import ModelError
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.metrics import References
from sweeps.models.networks.corruption import input_noise
from sweeps.models.networks.network import Network, initialise
from sweeps.models.networks.seeds import WEIGHTS, seeded_generator
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.objectives import Objective
from sweeps.models.training.pretraining import Phase
from sweeps.models.training.validation import Validation

__all__ = ["Phase", "build_network", "build_phases", "input_noise", "load_network", "save_network"]

_FORMAT = "autoencoder-sweeps network 1"


def build_network(
    model: ModelConfig,
    *,
    input_size: int,
    n_classes: int | None,
    seed: int,
    statistics: FeatureStatistics | None = None,
) -> Network:
    """Return a network with its initial weights, which `seed` decides.

    `statistics` are those of the training split: needed to standardise features, or to fill missing values. Raises
    ModelError if the model is to be fine-tuned on labels and `n_classes` is None, or if it needs `statistics`.
    """
    network = _zero_network(model, input_size, n_classes)
    if statistics is not None:
        network.preprocessing.set_statistics(statistics)
    elif network.preprocessing.scales_features:
        raise ModelError("model.standardize feature needs the statistics of the training split, and got none")
    initialise(network, seeded_generator(seed, WEIGHTS), model.initialization)
    return network


def build_phases(
    model: ModelConfig,
    training: TrainingConfig,
    *,
    input_size: int,
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
    content = {
        "format": _FORMAT,
        "model": model.model_dump(mode="json"),
        "input_size": network.input_size,
        "n_classes": network.n_classes,
        "fills_missing": network.preprocessing.fills_missing,
        "state_dict": network.state_dict(),
    }
    torch.save(content, file)


class Readable(Protocol):
    """A file, local or in an object store."""

    def read_bytes(self) -> bytes:
        """Return its content."""


def load_network(path: Readable) -> Network:
    """Read a file written by `save_network`, onto the CPU. Raises ModelError if the file is something else."""
    try:
        content: Any = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise ModelError(f"{path} must be a network saved by this package, and cannot be read as one") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ModelError(f"{path} must be a network saved by this package in the format {_FORMAT!r}, and is not")
    try:
        model: ModelConfig = TypeAdapter(ModelConfig).validate_python(content["model"])
        network = _zero_network(model, content["input_size"], content["n_classes"])
        if content.get("fills_missing", False):
            network.preprocessing.fill_missing()
        network.load_state_dict(content["state_dict"])
    except (ValidationError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path} must hold a network and the settings it was built from, and they differ") from error
    return network


def _zero_network(model: ModelConfig, input_size: int, n_classes: int | None) -> Network:
    """Return the network that a section describes, with weights of 0."""
    network: Network = resolve_name(model.network)(model, input_size, n_classes)
    return network


def _pretraining_phases(model: ModelConfig, network: Network) -> list[Phase]:
    if model.pretraining_phases is None:
        return []
    phases: list[Phase] = resolve_name(model.pretraining_phases)(model, network)
    return phases

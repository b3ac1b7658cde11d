"""From the config to networks and phases of training, and networks to files and back."""

import io
import pickle
from pathlib import Path
from typing import IO, Any, Protocol

import torch
from pydantic import TypeAdapter, ValidationError

from sweeps.models.config import (
    AutoencoderConfig,
    DeepConfig,
    LinearConfig,
    ModelConfig,
    ShallowConfig,
    StackedDenoisingConfig,
    TrainingConfig,
)
from sweeps.models.errors import ModelError
from sweeps.models.metrics import References
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.deep import DeepAutoencoder
from sweeps.models.networks.linear import LinearNetwork
from sweeps.models.networks.network import Network, initialise
from sweeps.models.networks.seeds import WEIGHTS, seeded_generator
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.losses import Loss
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.objectives import Classification, Objective, Reconstruction
from sweeps.models.training.penalties import Penalties
from sweeps.models.training.pretraining import Phase, pretraining_phases
from sweeps.models.training.validation import Validation

__all__ = ["Phase", "build_network", "build_phases", "input_noise", "load_network", "save_network"]

_FORMAT = "autoencoder-sweeps network 1"


def build_network(model: ModelConfig, *, input_size: int, n_classes: int | None, seed: int) -> Network:
    """A network with its initial weights, which `seed` decides.

    Raises ModelError where it is to be fine-tuned on labels and `n_classes` is None.
    """
    network = _network(model, input_size, n_classes)
    initialise(network, seeded_generator(seed, WEIGHTS), model.initialization)
    return network


def build_phases(
    model: ModelConfig,
    training: TrainingConfig,
    *,
    input_size: int,
    n_classes: int | None,
    references: References | None = None,
) -> list[Phase]:
    """The fits that make up a training, in order; the last trains the whole network and measures it.

    Raises ModelError where the network is to be fine-tuned on labels and `n_classes` is None.
    """
    network = build_network(model, input_size=input_size, n_classes=n_classes, seed=training.seed)
    loss = Loss(model.loss, model.loss_reduction)
    penalties = _penalties(model)
    phases = []
    if isinstance(model, StackedDenoisingConfig) and isinstance(network, StackedDenoisingAutoencoder):
        phases = pretraining_phases(network, model, loss=loss, penalties=penalties)
    member = Member(
        network,
        _objective(model, network),
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
    return [*phases, last]


def input_noise(model: ModelConfig) -> Noise:
    """The corruption of the input: a stack's first level."""
    level = model.noise.level
    return Noise(model.noise.kind, level[0] if isinstance(level, tuple) else level)


def save_network(file: Path | IO[bytes], model: ModelConfig, network: Network) -> None:
    """Write a network as plain values and tensors."""
    content = {
        "format": _FORMAT,
        "model": model.model_dump(mode="json"),
        "input_size": network.input_size,
        "n_classes": network.n_classes if isinstance(network, StackedDenoisingAutoencoder) else None,
        "state_dict": network.state_dict(),
    }
    torch.save(content, file)


class Readable(Protocol):
    """A file, wherever it lies."""

    def read_bytes(self) -> bytes:
        """What it holds."""


def load_network(path: Readable) -> Network:
    """Read, on the CPU, what `save_network` wrote. Raises ModelError where the file is something else."""
    try:
        content: Any = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise ModelError(f"{path} must be a network saved by this package, and cannot be read as one") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ModelError(f"{path} must be a network saved by this package in the format {_FORMAT!r}, and is not")
    try:
        model: ModelConfig = TypeAdapter(ModelConfig).validate_python(content["model"])
        network = _network(model, content["input_size"], content["n_classes"])
        network.load_state_dict(content["state_dict"])
    except (ValidationError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path} must hold a network and the settings it was built from, and they differ") from error
    return network


def _network(model: ModelConfig, input_size: int, n_classes: int | None) -> Network:
    """A network with weights of 0."""
    standardizes = model.standardize == "sample"
    if isinstance(model, LinearConfig):
        return LinearNetwork(input_size, standardizes=standardizes)
    if isinstance(model, ShallowConfig):
        return ShallowAutoencoder(
            input_size,
            model.hidden_size,
            activation=model.activation,
            output_activation=model.output_activation,
            tied_weights=model.tied_weights,
            standardizes=standardizes,
        )
    if isinstance(model, DeepConfig):
        return DeepAutoencoder(
            input_size,
            model.hidden_sizes,
            model.code_size,
            activation=model.activation,
            code_activation=model.code_activation,
            output_activation=model.output_activation,
            decoder_sizes=model.decoder_sizes,
            tied_weights=model.tied_weights,
            biases=model.biases,
            standardizes=standardizes,
        )
    classifies = model.fine_tuning == "classification"
    if classifies and n_classes is None:
        raise ModelError(
            "model.fine_tuning classification needs data with labels, and there are none: set it to reconstruction"
        )
    return StackedDenoisingAutoencoder(
        input_size,
        model.hidden_sizes,
        activation=model.activation,
        code_activation=model.code_activation,
        output_activation=model.output_activation,
        tied_weights=model.tied_weights,
        standardizes=standardizes,
        n_classes=n_classes if classifies else None,
    )


def _objective(model: ModelConfig, network: Network) -> Objective:
    """What the last phase minimises. A stack has met its noise in pre-training, and is fine-tuned without any."""
    penalties = _penalties(model)
    if isinstance(network, StackedDenoisingAutoencoder):
        if network.n_classes is not None:
            return Classification(network, penalties)
        return Reconstruction(network, Loss(model.loss, model.loss_reduction), penalties=penalties)
    return Reconstruction(network, Loss(model.loss, model.loss_reduction), input_noise(model), penalties)


def _penalties(model: AutoencoderConfig) -> Penalties:
    return Penalties(model.weight_l1, model.weight_l2, model.hidden_l1, model.penalty_reduction)

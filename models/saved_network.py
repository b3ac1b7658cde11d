"""A network in a file: its settings, and the tensors of its state."""

from pkgutil import resolve_name
from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from torch import Tensor

from sweeps.models import tensor_file
from sweeps.models.config import ModelConfig
from sweeps.models.errors import ModelError
from sweeps.models.networks.network import Network
from sweeps.models.tensor_file import Readable

_FORMAT = "autoencoder-sweeps network 1"


class SavedNetwork(NamedTuple):
    """A network with the config section that it was built from."""

    model: ModelConfig
    network: Network


class _Content(BaseModel):
    """What a file of a network holds. Files of version 0.1 may have no `fills_missing`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    format: Literal["autoencoder-sweeps network 1"]
    model: ModelConfig
    input_size: PositiveInt
    n_classes: PositiveInt | None
    fills_missing: bool = False
    state_dict: dict[str, Tensor]


def zero_network(model: ModelConfig, input_size: int, n_classes: int | None) -> Network:
    """Return the network that a section describes, with weights of 0."""
    network: Network = resolve_name(model.network)(model, input_size, n_classes)
    return network


def dumps(model: ModelConfig, network: Network) -> bytes:
    """Return the file of a network that was built from a section."""
    content = {
        "format": _FORMAT,
        "model": model.model_dump(mode="json"),
        "input_size": network.input_size,
        "n_classes": network.n_classes,
        "fills_missing": network.preprocessing.fills_missing,
        "state_dict": network.state_dict(),
    }
    return tensor_file.dumps(content)


def read(path: Readable) -> SavedNetwork:
    """Read the file of a network, onto the CPU.

    Raises ModelError if the file is something else, or if its tensors are not those that its settings ask for. Nothing
    is allocated for settings that the file has no tensors for.
    """
    values: Any = tensor_file.read(path, "a network")
    try:
        content = _Content.model_validate(values)
    except ValidationError as error:
        raise ModelError(f"{path} must be a network saved by this package, and holds something else") from error
    issue = _issue(content)
    if issue is not None:
        raise ModelError(f"{path} must hold a network and the settings it was built from, and they differ: {issue}")
    network = _zero_network(content)
    network.load_state_dict(content.state_dict)
    return SavedNetwork(content.model, network)


def _issue(content: _Content) -> str | None:
    """Return in what the tensors differ from those of the network that the settings describe; None if in nothing."""
    # Each hidden layer has tensors, or shares those of another; the layers of settings from elsewhere may be millions.
    if len(content.model.hidden_activations) > 2 * len(content.state_dict):
        return "the settings have more layers"
    try:
        with torch.device("meta"):  # shapes alone: a size in the settings may be anything
            expected = _zero_network(content).state_dict()
    except ModelError as error:
        return str(error)
    except (RuntimeError, TypeError):
        return "no network can have the sizes of the settings"
    return tensor_file.difference(content.state_dict, expected)


def _zero_network(content: _Content) -> Network:
    network = zero_network(content.model, content.input_size, content.n_classes)
    if content.fills_missing:
        network.preprocessing.fill_missing()
    return network

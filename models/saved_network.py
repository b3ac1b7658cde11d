"""A network in a file: its settings, and the tensors of its state."""

import math
from pkgutil import resolve_name
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator
from torch import Tensor

from sweeps.models import tensor_file
from sweeps.models.config import ModelConfig
from sweeps.models.errors import ModelError
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import Network
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.tensor_file import Readable
from sweeps.plugin_import import NotAllowedPlugin, PluginError, only_importing

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
    image_shape: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3)] | None = None
    state_dict: dict[str, Tensor]

    @property
    def shape(self) -> SampleShape:
        """The shape of the samples that the network takes."""
        return SampleShape(self.input_size, self.image_shape)

    @model_validator(mode="after")
    def features_are_pixels(self) -> Self:
        if self.image_shape is not None and math.prod(self.image_shape) != self.input_size:
            raise ValueError(f"image_shape must have input_size ({self.input_size}) pixels, not {self.image_shape}")
        return self


def zero_network(model: ModelConfig, shape: SampleShape, n_classes: int | None) -> Network:
    """Return the network that a section describes, for samples of a shape, without its initial weights."""
    network: Network = resolve_name(model.network)(model, shape, n_classes)
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
    if isinstance(network, PluginNetwork):
        content["image_shape"] = network.shape.image_shape
    return tensor_file.dumps(content)


def read(path: Readable, plugin: str | None = None) -> SavedNetwork:
    """Read the file of a network, onto the CPU.

    A file from elsewhere could name any module as its plug-in, and importing it would run its code: only the plug-in
    that the caller names is imported, by its name in the sweep file.

    Raises ModelError if the file is something else, holds the network of another plug-in, or if its tensors are not
    those that its settings ask for. Nothing is allocated for settings that the file has no tensors for.
    """
    values: Any = tensor_file.read(path, "a network")
    try:
        content = _Content.model_validate(values, context=only_importing(*([] if plugin is None else [plugin])))
    except ValidationError as error:
        if (problem := _plugin_problem(error)) is not None:
            raise ModelError(f"{path} {problem}") from error
        raise ModelError(f"{path} must be a network saved by this package, and holds something else") from error
    issue = _issue(content)
    if issue is not None:
        raise ModelError(f"{path} must hold a network and the settings it was built from, and they differ: {issue}")
    network = _zero_network(content)
    network.load_state_dict(content.state_dict)
    return SavedNetwork(content.model, network)


def _plugin_problem(error: ValidationError) -> str | None:
    """Return what keeps the plug-in in a file from being used, if that is what was wrong with it."""
    for detail in error.errors(include_url=False):
        reason = detail.get("ctx", {}).get("error")
        if isinstance(reason, NotAllowedPlugin):
            return (
                f"holds the network of the plug-in {reason.name}, whose code is run only for a sweep that names it: "
                "use a file of such a sweep"
            )
        if isinstance(reason, PluginError):
            return f"holds the network of a plug-in that cannot be used: {reason}"
    return None


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
    network = zero_network(content.model, content.shape, content.n_classes)
    if content.fills_missing:
        network.preprocessing.fill_missing()
    return network

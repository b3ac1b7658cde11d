"""A network of the user's own, as the service trains and measures it: a plain `nn.Module` inside an adapter."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from sweeps.errors import reason_of
from sweeps.models.config import NetworkSettings
from sweeps.models.config.plugin import plugin_network
from sweeps.models.errors import ModelError
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import Activations
from sweeps.models.networks.preprocessing import Preprocessing


def build(section: NetworkSettings, shape: SampleShape, _n_classes: int | None) -> "PluginNetwork":
    """Return the network of a plug-in's section. Raises ModelError if the plug-in cannot be built for these samples."""
    return PluginNetwork(section, shape)


def initialise(network: "PluginNetwork", _section: NetworkSettings, generator: torch.Generator) -> None:
    """Give a network the initial weights that its own constructor draws, from PyTorch's generator seeded for it."""
    network.module = network.new_module(generator.initial_seed())


class PluginNetwork(nn.Module):
    """A user's `module`, with the preprocessing, the output activation and the penalised weights of other networks.

    The module is in evaluation mode, so that measurements neither depend on the batch nor change its buffers;
    `train_module` switches it for training steps. What it draws at random must come from PyTorch's generators.
    """

    n_classes: int | None = None

    def __init__(self, section: NetworkSettings, shape: SampleShape) -> None:
        super().__init__()
        self.section = section
        self.shape = shape
        self.input_size = shape.n_features
        self.preprocessing = Preprocessing(shape.n_features, section.standardize)
        self.module = self.new_module(0)

    def new_module(self, seed: int) -> nn.Module:
        """Return a new module of the plug-in, whose constructor draws from PyTorch's generator with this seed."""
        name = self.section.name
        network: Callable[..., nn.Module] = plugin_network(name)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return network(self.section, self.shape).eval()
        except Exception as error:  # code of the user's own may raise anything
            raise ModelError(
                f"{name} must take these settings and {self.shape}, and raised {reason_of(error)}"
            ) from error

    def train(self, mode: bool = True) -> "PluginNetwork":
        """Set the mode of the adapter alone: whoever trains or measures several networks sets that of all."""
        self.training = mode
        return self

    def train_module(self, mode: bool) -> None:
        """Set the mode of the user's module: training for steps, else evaluation."""
        self.module.train(mode)

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode: (batch, features)."""
        values, standardized = self.preprocessing(x)
        output = self.module(values)
        if not torch.compiler.is_compiling():
            self._check(output, values)
        hidden = tuple(part.flatten(1) for part in output.hidden) or (output.code,)
        return Activations(output.code, output.logits, hidden, self.section.output_activation).restored(
            self.preprocessing, standardized
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return the code: (batch, features) -> (batch, code_size)."""
        code: Tensor = self(x).code
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction: (batch, code_size) -> (batch, features), if the module has a `decode` for logits.

        Raises ModelError if it has none.
        """
        own = self._own("decode")
        if own is None:
            raise ModelError(f"{self.section.name} has no decode: define decode(code), which returns the logits")
        logits = own(code)
        decoded = Activations(code, logits, (code,), self.section.output_activation).reconstruction
        return self.preprocessing.unscaled(decoded)

    @cached_property
    def code_size(self) -> int:
        """Units of the code: of one sample of zeros, if no setting decides them."""
        if self.section.code_size is not None:
            return self.section.code_size
        like = next(self.parameters())
        with torch.no_grad():
            return int(self(like.new_zeros(1, self.input_size)).code.shape[1])

    def weights(self) -> list[Tensor]:
        """Return what penalties apply to: the module's own `weights()`, or its parameters of 2 or more dimensions."""
        own = self._own("weights")
        if own is not None:
            return list(own())
        return [parameter for parameter in self.module.parameters() if parameter.dim() > 1]

    def encoder_weights(self) -> list[Tensor]:
        """Return the encoder's matrices, (units, inputs) each, if the module defines `encoder_weights()`; else none."""
        own = self._own("encoder_weights")
        return [] if own is None else list(own())

    def first_layer_filters(self) -> Tensor | None:
        """Return the filters of the first layer, (units, features), if the module defines them; else None."""
        own = self._own("first_layer_filters")
        return None if own is None else own()

    def _own(self, name: str) -> Callable[..., Any] | None:
        """Return a method that the user's module may define; None if it does not.

        Parameters and modules of that name are no methods, but a module may decode.
        """
        found = getattr(self.module, name, None)
        is_method = callable(found) and (name == "decode" or not isinstance(found, nn.Module))
        return found if is_method else None

    def _check(self, output: Any, x: Tensor) -> None:
        """Raise ModelError if the module's output is not what the contract says."""
        name = self.section.name
        if not isinstance(output, Activations):
            kind = type(output).__name__
            raise ModelError(f"{name}.forward must return Activations(code=..., logits=...), not {kind}")
        code, logits = output.code, output.logits
        if logits.shape != x.shape:
            raise ModelError(
                f"{name}.forward must return logits of the input's shape {tuple(x.shape)}, not {tuple(logits.shape)}: "
                "flatten images with shape.as_features"
            )
        if code.dim() != 2 or len(code) != len(x):
            raise ModelError(f"{name}.forward must return a code (batch, units), not {tuple(code.shape)}: flatten it")
        if self.section.code_size is not None and code.shape[1] != self.section.code_size:
            raise ModelError(
                f"{name}.forward must return a code of code_size {self.section.code_size} units, not {code.shape[1]}"
            )

"""The protocol of networks, for training and measuring them, and the layers that they are made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeps.models.config import Activation, AutoencoderConfig, Initialization
from sweeps.models.networks.faulty_gradient import sigmoid_first_row
from sweeps.models.networks.preprocessing import Preprocessing
from sweeps.models.networks.standardize import Standardized

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "elu": functional.elu,
    "sigmoid_first_row": sigmoid_first_row,
}
# Sigmoid units need weights 4 times as large for the same slope at 0 (Glorot and Bengio 2010; Deep Learning Tutorials).
_GAINS: dict[Activation, float] = {"sigmoid": 4.0, "sigmoid_first_row": 4.0}

# (inputs (batch, features), labels (batch,)), or inputs alone.
Batch: TypeAlias = Sequence[Tensor]


class Activations(NamedTuple):
    """One forward pass. `logits` are the output before its activation: (batch, features).

    Of a network that standardises features, the logits are the standardised output, and `preprocessing` restores it.
    """

    code: Tensor  # (batch, code_size)
    logits: Tensor
    # All hidden layers from the input on, including the code: (batch, units). A plug-in may leave them out.
    hidden: tuple[Tensor, ...] = ()
    output_activation: Activation = "linear"
    deviation: Tensor | None = None  # (batch, 1), of a network that standardises samples: the unit of its loss
    class_logits: Tensor | None = None  # (batch, n_classes), of a network that classifies
    preprocessing: Preprocessing | None = None  # of a network that standardises features or fills missing values

    @property
    def reconstruction(self) -> Tensor:
        """The raw output, (batch, features), computed on each access: cross-entropy needs only the logits."""
        output = ACTIVATIONS[self.output_activation](self.logits)
        return output if self.preprocessing is None else self.preprocessing.unscaled(output)

    def restored(self, preprocessing: Preprocessing, standardized: Standardized | None) -> "Activations":
        """Return the pass of a network with this `preprocessing`; `standardized` restores samples, if given."""
        restored = self
        if standardized is not None:
            restored = self._replace(logits=standardized.restore(self.logits), deviation=standardized.deviation)
        if not (preprocessing.scales_features or preprocessing.fills_missing):
            return restored
        return restored._replace(logits=preprocessing.varying(restored.logits), preprocessing=preprocessing)

    def error(self, target: Tensor) -> Tensor:
        """Return the output minus the raw `target`, (batch, features), in the units of losses and metrics.

        These are the units of the data, or each feature's standard deviation if the network standardises features. The
        error is 0 where `target` is missing (NaN): divide sums by the values that are `present`.
        """
        if self.preprocessing is None or not self.preprocessing.scales_features:
            error = self.reconstruction - target
        else:  # not from raw values: if a mean is far larger than the deviation, float32 rounds the difference away
            error = self.logits - self.preprocessing.scaled(target)
        present = self.present(target)
        return error if present is None else error.where(present, 0.0)

    def compared(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the raw `target` and its reconstruction, (batch, features) each, in the units of losses and metrics.

        A missing value is the feature's mean in both.
        """
        if self.preprocessing is None:
            return target, self.reconstruction
        filled = self.preprocessing.filled(target)
        return filled, filled + self.error(target)

    def present(self, target: Tensor) -> Tensor | None:
        """Return which values of `target` (batch, features) are not missing; None if the network expects all."""
        return ~target.isnan() if self.preprocessing is not None and self.preprocessing.fills_missing else None


class Network(Protocol):
    """An autoencoder as a plain `nn.Module`."""

    input_size: int
    n_classes: int | None  # None for a network that does not classify

    @property
    def code_size(self) -> int:
        """Units of the code."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What it does to its raw input before the first layer."""

    def __call__(self, x: Tensor) -> Activations:
        """Encode and decode: (batch, features)."""

    def encode(self, x: Tensor) -> Tensor:
        """Return the code of `x`: (batch, features) -> (batch, code_size)."""

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction from a code: (batch, code_size) -> (batch, features).

        A network that standardises samples returns standardised ones: a code has neither their mean nor deviation.
        """

    def weights(self) -> list[Tensor]:
        """Return the weight matrices that penalties apply to: encoder and decoder, tied ones once, no biases."""

    def encoder_weights(self) -> list[Tensor]:
        """Return the encoder's matrices from the input on, each (units, inputs); none if a plug-in has no such."""

    def first_layer_filters(self) -> Tensor | None:
        """Return the weights of each unit of the first hidden layer, (units, features); None if there are no such."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As in `nn.Module`."""

    def modules(self) -> Iterator[nn.Module]:
        """As in `nn.Module`."""

    def state_dict(self) -> dict[str, Any]:
        """As in `nn.Module`."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As in `nn.Module`."""


class Layer(nn.Module):
    """activation(x Wᵀ + b), with W (n_units, n_inputs). Weights are 0 until `initialise`."""

    def __init__(
        self, n_inputs: int, n_units: int, activation: Activation, *, gain: float | None = None, biases: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_units, n_inputs))
        self.bias = nn.Parameter(torch.zeros(n_units)) if biases else None
        self.activation: Activation = activation
        self.gain = _GAINS.get(activation, 1.0) if gain is None else gain

    @property
    def n_units(self) -> int:
        """The number of outputs."""
        return self.weight.shape[0]

    def logits(self, x: Tensor) -> Tensor:
        """Return the output before its activation: (batch, n_inputs) -> (batch, n_units)."""
        return functional.linear(x, self.weight, self.bias)

    def activated(self, logits: Tensor) -> Tensor:
        """Return the output for `logits`: (batch, n_units)."""
        return ACTIVATIONS[self.activation](logits)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output: (batch, n_inputs) -> (batch, n_units)."""
        return self.activated(self.logits(x))


class TiedLayer(nn.Module):
    """A decoder layer with the weights of `layer`: activation(h W + b), with a bias of its own."""

    def __init__(self, layer: Layer, activation: Activation, *, biases: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(layer.weight.shape[1])) if biases else None
        self.activation: Activation = activation
        self._tied = (layer,)  # in a tuple, so that the weight is not registered twice

    @property
    def n_units(self) -> int:
        """The number of outputs: the inputs of the tied layer."""
        return self._tied[0].weight.shape[1]

    def logits(self, h: Tensor) -> Tensor:
        """Return the output before its activation: (batch, units of `layer`) -> (batch, inputs of `layer`)."""
        return functional.linear(h, self._tied[0].weight.t(), self.bias)

    def forward(self, h: Tensor) -> Tensor:
        """Return the output: (batch, units of `layer`) -> (batch, inputs of `layer`)."""
        return ACTIVATIONS[self.activation](self.logits(h))


def decoder_layer(
    layer: Layer, activation: Activation, *, tied: bool, gain: float | None = None, biases: bool = True
) -> Layer | TiedLayer:
    """Return a layer that decodes the units of `layer` to its inputs."""
    if tied:
        return TiedLayer(layer, activation, biases=biases)
    n_units, n_inputs = layer.weight.shape
    return Layer(n_units, n_inputs, activation, gain=gain, biases=biases)


def encoder_product(network: Network, n_units: int) -> Tensor:
    """Return W_n ... W_2 W_1 for the code's first `n_units`, (units, features): filters, if layers were linear."""
    first, *rest = reversed(network.encoder_weights())
    return reduce(torch.matmul, rest, first[:n_units])


def initialise_section(network: Network, section: AutoencoderConfig, generator: torch.Generator) -> None:
    """Initialise a network as the section that it was built from says."""
    initialise(network, generator, section.initialization)


def initialise(network: Network, generator: torch.Generator, initialization: Initialization = "glorot") -> None:
    """Initialise all weights; biases and the weights of a softmax layer are 0.

    `glorot`: W ~ U(±gain √(6 / (n_inputs + n_units))), with a gain of 4 for sigmoid hidden layers, and 1 for others
    and for the output (Glorot and Bengio 2010, eq. 16). `tutorial`: the same with a gain of 4 for all layers,
    regardless of activation (Deep Learning Tutorials). `small`: W ~ N(0, 0.01²), for Boltzmann machines (Hinton 2010,
    section 8). `unit_interval`: W ~ U(0, 1). `identity`: ones on the diagonal.
    """
    for layer in _layers(network.modules()):
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if layer.gain == 0:
            nn.init.zeros_(layer.weight)
        elif initialization == "identity":
            nn.init.eye_(layer.weight)
        elif initialization == "small":
            nn.init.normal_(layer.weight, 0, 0.01, generator=generator)
        elif initialization == "unit_interval":
            nn.init.uniform_(layer.weight, 0, 1, generator=generator)
        else:
            limit = (layer.gain if initialization == "glorot" else 4) * (6 / sum(layer.weight.shape)) ** 0.5
            nn.init.uniform_(layer.weight, -limit, limit, generator=generator)


def _layers(modules: Iterable[nn.Module]) -> Iterator[Layer]:
    return (module for module in modules if isinstance(module, Layer))

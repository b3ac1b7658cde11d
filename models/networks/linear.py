"""The linear model: one linear layer from the features to the features, without a bottleneck."""

from torch import Tensor, nn

from sweeps.models.config import LinearConfig
from sweeps.models.networks.network import Activations, Layer
from sweeps.models.networks.standardize import as_seen


def build(section: LinearConfig, input_size: int, _n_classes: int | None) -> "LinearNetwork":
    """Return the network of a config section, with weights of 0."""
    return LinearNetwork(input_size, standardizes=section.standardize == "sample")


class LinearNetwork(nn.Module):
    """features -> features: x Wᵀ + b. The code is the output. Weights are 0 until `networks.network.initialise`."""

    n_classes: int | None = None

    def __init__(self, input_size: int, *, standardizes: bool = False) -> None:
        super().__init__()
        self.input_size = input_size
        self.code_size = input_size
        self.standardizes = standardizes
        self.layer = Layer(input_size, input_size, "linear")

    def forward(self, x: Tensor) -> Activations:
        """Return output and code, which are the same: (batch, features)."""
        x, standardized = as_seen(x, standardizes=self.standardizes)
        output = self.layer(x)
        return Activations((output,), output, output, "linear").restored(standardized)

    def encode(self, x: Tensor) -> Tensor:
        """Return the code, which is the output: (batch, features)."""
        x, _ = as_seen(x, standardizes=self.standardizes)
        code: Tensor = self.layer(x)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return the code itself: (batch, features)."""
        return code

    def weights(self) -> list[Tensor]:
        """Return the only weight matrix."""
        return [self.layer.weight]

    def encoder_weights(self) -> list[Tensor]:
        """Return the only weight matrix."""
        return [self.layer.weight]

    def first_layer_filters(self) -> Tensor:
        """Return the weight matrix W, a row per output: (features, features)."""
        return self.layer.weight

"""The linear model: one linear layer from the features to the features, without a bottleneck."""

from torch import Tensor, nn

from sweeps.models.config import LinearConfig, Standardization
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import Activations, Layer
from sweeps.models.networks.preprocessing import Preprocessing


def build(section: LinearConfig, shape: SampleShape, _n_classes: int | None) -> "LinearNetwork":
    """Return the network of a config section, with weights of 0."""
    return LinearNetwork(shape.n_features, standardize=section.standardize)


class LinearNetwork(nn.Module):
    """features -> features: x Wᵀ + b. The code is the output. Weights are 0 until `networks.network.initialise`."""

    n_classes: int | None = None

    def __init__(self, input_size: int, *, standardize: Standardization = "none") -> None:
        super().__init__()
        self.input_size = input_size
        self.code_size = input_size
        self.preprocessing = Preprocessing(input_size, standardize)
        self.layer = Layer(input_size, input_size, "linear")

    def forward(self, x: Tensor) -> Activations:
        """Return output and code, which are the same before features are restored: (batch, features)."""
        x, standardized = self.preprocessing(x)
        output = self.layer(x)
        return Activations(output, output, (output,)).restored(self.preprocessing, standardized)

    def encode(self, x: Tensor) -> Tensor:
        """Return the code, which is the output: (batch, features)."""
        x, _ = self.preprocessing(x)
        code: Tensor = self.layer(x)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return the code, as raw values if features are standardised: (batch, features)."""
        return self.preprocessing.unscaled(code)

    def weights(self) -> list[Tensor]:
        """Return the only weight matrix."""
        return [self.layer.weight]

    def encoder_weights(self) -> list[Tensor]:
        """Return the only weight matrix."""
        return [self.layer.weight]

    def first_layer_filters(self) -> Tensor:
        """Return the weight matrix W, a row per output: (features, features)."""
        return self.layer.weight

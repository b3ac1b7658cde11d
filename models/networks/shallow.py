"""The shallow autoencoder: one hidden layer, which is the code."""

from torch import Tensor, nn

from sweeps.models.config import Activation, ShallowConfig, Standardization
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import ACTIVATIONS, Activations, Layer, decoder_layer
from sweeps.models.networks.preprocessing import Preprocessing


def build(section: ShallowConfig, shape: SampleShape, _n_classes: int | None) -> "ShallowAutoencoder":
    """Return the network of a config section, with weights of 0."""
    return ShallowAutoencoder(
        shape.n_features,
        section.hidden_size,
        activation=section.activation,
        output_activation=section.output_activation,
        tied_weights=section.tied_weights,
        standardize=section.standardize,
    )


class ShallowAutoencoder(nn.Module):
    """features -> hidden -> features. Weights are 0 until `networks.network.initialise`."""

    n_classes: int | None = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Activation = "relu",
        output_activation: Activation = "linear",
        tied_weights: bool = False,
        standardize: Standardization = "none",
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.code_size = hidden_size
        self.preprocessing = Preprocessing(input_size, standardize)
        self.encoder = Layer(input_size, hidden_size, activation)
        self.decoder = decoder_layer(self.encoder, output_activation, tied=tied_weights, gain=1.0)

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode: (batch, features)."""
        x, standardized = self.preprocessing(x)
        code = self.encoder(x)
        return Activations(code, self.decoder.logits(code), (code,), self.decoder.activation).restored(
            self.preprocessing, standardized
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return the code: (batch, features) -> (batch, hidden)."""
        x, _ = self.preprocessing(x)
        return ACTIVATIONS[self.encoder.activation](self.encoder.logits(x))

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction: (batch, hidden) -> (batch, features)."""
        return self.preprocessing.unscaled(ACTIVATIONS[self.decoder.activation](self.decoder.logits(code)))

    def weights(self) -> list[Tensor]:
        """Return the weight matrices that penalties apply to: one if they are tied."""
        return [layer.weight for layer in (self.encoder, self.decoder) if isinstance(layer, Layer)]

    def encoder_weights(self) -> list[Tensor]:
        """Return the matrix into the hidden layer."""
        return [self.encoder.weight]

    def first_layer_filters(self) -> Tensor:
        """Return the filters of the hidden layer: (hidden, features)."""
        return self.encoder.weight

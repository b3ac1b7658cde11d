"""The deep autoencoder: hidden layers, a code, and a mirrored decoder (Hinton and Salakhutdinov 2006)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from sweeps.models.config import Activation, DeepConfig, Standardization
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import Activations, Layer, TiedLayer, decoder_layer
from sweeps.models.networks.preprocessing import Preprocessing


def build(section: DeepConfig, shape: SampleShape, _n_classes: int | None) -> "DeepAutoencoder":
    """Return the network of a config section, with weights of 0."""
    return DeepAutoencoder(
        shape.n_features,
        section.hidden_sizes,
        section.code_size,
        activation=section.activation,
        code_activation=section.code_activation,
        output_activation=section.output_activation,
        decoder_sizes=section.decoder_sizes,
        tied_weights=section.tied_weights,
        biases=section.biases,
        standardize=section.standardize,
    )


class DeepAutoencoder(nn.Module):
    """features -> hidden_sizes -> code -> decoder_sizes, by default hidden_sizes reversed -> features.

    `activation` is that of the hidden layers of encoder and decoder; the code and the output have their own. Tied
    weights need a mirrored decoder. Weights are 0 until `networks.network.initialise`.
    """

    n_classes: int | None = None

    def __init__(
        self,
        input_size: int,
        hidden_sizes: Sequence[int],
        code_size: int,
        *,
        activation: Activation = "relu",
        code_activation: Activation = "linear",
        output_activation: Activation = "linear",
        decoder_sizes: Sequence[int] | None = None,
        tied_weights: bool = False,
        biases: bool = True,
        standardize: Standardization = "none",
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.code_size = code_size
        self.preprocessing = Preprocessing(input_size, standardize)
        into = [*(activation for _ in hidden_sizes), code_activation]
        sizes = pairwise((input_size, *hidden_sizes, code_size))
        encoder = [Layer(*shape, activation, biases=biases) for shape, activation in zip(sizes, into, strict=True)]
        self.encoder: Sequence[Layer] = nn.ModuleList(encoder)  # type: ignore[assignment]  # it is a sequence of them
        decoder: list[Layer | TiedLayer]
        if decoder_sizes is None:
            output = decoder_layer(encoder[0], output_activation, tied=tied_weights, gain=1.0, biases=biases)
            inner = [decoder_layer(layer, activation, tied=tied_weights, biases=biases) for layer in encoder[:0:-1]]
            decoder = [*inner, output]
        else:
            shapes = pairwise((code_size, *decoder_sizes))
            decoder = [Layer(*shape, activation, biases=biases) for shape in shapes]
            n_last = (code_size, *decoder_sizes)[-1]
            decoder.append(Layer(n_last, input_size, output_activation, gain=1.0, biases=biases))
        self.decoder: Sequence[Layer | TiedLayer] = nn.ModuleList(decoder)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode: (batch, features)."""
        x, standardized = self.preprocessing(x)
        hidden = []
        for layer in self.encoder:
            x = layer(x)
            hidden.append(x)
        code = x
        *inner, output = self.decoder
        for back in inner:
            x = back(x)
            hidden.append(x)
        return Activations(code, output.logits(x), tuple(hidden), output.activation).restored(
            self.preprocessing, standardized
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return the code: (batch, features) -> (batch, code_size)."""
        x, _ = self.preprocessing(x)
        for layer in self.encoder:
            x = layer(x)
        return x

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction: (batch, code_size) -> (batch, features)."""
        for layer in self.decoder:
            code = layer(code)
        return self.preprocessing.unscaled(code)

    def weights(self) -> list[Tensor]:
        """Return the weight matrices that penalties apply to: only the encoder's if they are tied."""
        return [layer.weight for layer in (*self.encoder, *self.decoder) if isinstance(layer, Layer)]

    def encoder_weights(self) -> list[Tensor]:
        """Return the matrix of each encoder layer, (units, inputs), the code's last."""
        return [layer.weight for layer in self.encoder]

    def first_layer_filters(self) -> Tensor:
        """Return the filters of the first layer: (units, features)."""
        return self.encoder[0].weight

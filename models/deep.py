"""The deep autoencoder: layers that narrow to a code, mirrored by the decoder (Hinton and Salakhutdinov 2006)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from models.config import Activation
from models.network import Activations, Layer, TiedLayer, decoder_layer


class DeepAutoencoder(nn.Module):
    """features -> hidden_sizes -> code -> hidden_sizes reversed -> features.

    `activation` is that of the hidden layers of encoder and decoder; the code and the output have their own. Weights
    are 0 until `models.network.initialise` draws them.
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: Sequence[int],
        code_size: int,
        *,
        activation: Activation = "relu",
        code_activation: Activation = "linear",
        output_activation: Activation = "linear",
        tied_weights: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.code_size = code_size
        into = [*(activation for _ in hidden_sizes), code_activation]
        sizes = pairwise((input_size, *hidden_sizes, code_size))
        encoder = [Layer(*shape, activation) for shape, activation in zip(sizes, into, strict=True)]
        self.encoder: Sequence[Layer] = nn.ModuleList(encoder)  # type: ignore[assignment]  # it is a sequence of them
        output = decoder_layer(encoder[0], output_activation, tied=tied_weights, gain=1.0)
        decoder = [decoder_layer(layer, activation, tied=tied_weights) for layer in reversed(encoder[1:])]
        self.decoder: Sequence[Layer | TiedLayer] = nn.ModuleList([*decoder, output])  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode: (batch, features)."""
        hidden = []
        for layer in self.encoder:
            x = layer(x)
            hidden.append(x)
        code = x
        *inner, output = self.decoder
        for back in inner:
            x = back(x)
            hidden.append(x)
        return Activations(tuple(hidden), code, output.logits(x), output.activation)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, features) -> (batch, code_size)."""
        for layer in self.encoder:
            x = layer(x)
        return x

    def decode(self, code: Tensor) -> Tensor:
        """(batch, code_size) -> (batch, features)."""
        for layer in self.decoder:
            code = layer(code)
        return code

    def weights(self) -> list[Tensor]:
        """The matrices that penalties see; the encoder's alone where they are tied."""
        return [layer.weight for layer in (*self.encoder, *self.decoder) if isinstance(layer, Layer)]

    def first_layer_filters(self) -> Tensor:
        """(units of the first hidden layer, features)."""
        return self.encoder[0].weight

"""The stacked denoising autoencoder (Vincent et al. 2010): layers pretrained one by one, and a softmax on top."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from sweeps.models.config import Activation, StackedDenoisingConfig, Standardization
from sweeps.models.errors import ModelError
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.deep import DeepAutoencoder
from sweeps.models.networks.network import Activations, Layer
from sweeps.models.networks.preprocessing import Preprocessing
from sweeps.models.networks.shallow import ShallowAutoencoder


def build(section: StackedDenoisingConfig, shape: SampleShape, n_classes: int | None) -> "StackedDenoisingAutoencoder":
    """Return the network of a config section, with weights of 0.

    Raises ModelError if fine-tuning is on labels and `n_classes` is None.
    """
    if section.classifies and n_classes is None:
        raise ModelError(
            "model.fine_tuning classification needs data with labels, and there are none: set it to reconstruction"
        )
    return StackedDenoisingAutoencoder(
        shape.n_features,
        section.hidden_sizes,
        activation=section.activation,
        code_activation=section.code_activation,
        output_activation=section.output_activation,
        tied_weights=section.tied_weights,
        standardize=section.standardize,
        n_classes=n_classes if section.classifies else None,
    )


class StackedDenoisingAutoencoder(nn.Module):
    """A deep autoencoder whose layers can be trained one by one, then together or as a classifier.

    `hidden_sizes` ends with the code, whose activation is `activation` unless `code_activation` names another. With
    `n_classes`, a softmax layer sits on the code; `initialise` leaves it at 0. The decoder's biases are the visible
    biases of the layers' autoencoders, and its weights, if untied, their decoder weights. Weights are 0 until
    `networks.network.initialise`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: Sequence[int],
        *,
        activation: Activation = "sigmoid",
        code_activation: Activation | None = None,
        output_activation: Activation = "sigmoid",
        tied_weights: bool = True,
        standardize: Standardization = "none",
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.code_size = hidden_sizes[-1]
        self.n_classes = n_classes
        self.unrolled = DeepAutoencoder(
            input_size,
            hidden_sizes[:-1],
            hidden_sizes[-1],
            activation=activation,
            code_activation=activation if code_activation is None else code_activation,
            output_activation=output_activation,
            tied_weights=tied_weights,
            standardize=standardize,
        )
        if n_classes is not None:
            self.classifier = Layer(self.code_size, n_classes, "linear", gain=0.0)

    @property
    def preprocessing(self) -> Preprocessing:
        """What it does to its raw input before the first layer."""
        return self.unrolled.preprocessing

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode through all layers, and classify if built with `n_classes`: (batch, features)."""
        activations: Activations = self.unrolled(x)
        if self.n_classes is None:
            return activations
        return activations._replace(class_logits=self.class_logits(activations.code))

    def encode(self, x: Tensor) -> Tensor:
        """Return the code: (batch, features) -> (batch, code_size)."""
        return self.unrolled.encode(x)

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction: (batch, code_size) -> (batch, features)."""
        return self.unrolled.decode(code)

    def weights(self) -> list[Tensor]:
        """Return the weight matrices that penalties apply to when the network is trained to reconstruct."""
        return self.unrolled.weights()

    def encoder_weights(self) -> list[Tensor]:
        """Return the matrix of each layer, (units, inputs), the code's last."""
        return self.unrolled.encoder_weights()

    def first_layer_filters(self) -> Tensor:
        """Return the filters of the first layer: (units, features)."""
        return self.unrolled.first_layer_filters()

    def hidden(self, x: Tensor, n_layers: int | None = None) -> tuple[Tensor, ...]:
        """Return the activations of the first `n_layers` layers, or of all, without corruption: each (batch, units)."""
        x, _ = self.preprocessing(x)
        hidden = []
        for layer in islice(self.unrolled.encoder, n_layers):
            x = layer(x)
            hidden.append(x)
        return tuple(hidden)

    def inputs_of_layer(self, k: int, x: Tensor) -> Tensor:
        """Return the inputs of layer `k`, the clean code of the layer below: (batch, features) -> (batch, units)."""
        return self.hidden(x, k)[-1] if k else x

    def layer(self, k: int) -> ShallowAutoencoder:
        """Return the autoencoder of layer `k`: it shares this network's parameters and preprocessing."""
        encoder, decoder = self.unrolled.encoder[k], self.unrolled.decoder[-1 - k]
        n_units, n_inputs = encoder.weight.shape
        autoencoder = ShallowAutoencoder(n_inputs, n_units)
        autoencoder.encoder, autoencoder.decoder = encoder, decoder
        if k == 0:
            autoencoder.preprocessing = self.preprocessing
        return autoencoder

    @torch.no_grad()
    def unroll_layer(self, k: int) -> None:
        """Set the decoder weights of layer `k` to the transpose of its encoder's, as in a Boltzmann machine."""
        encoder, decoder = self.unrolled.encoder[k], self.unrolled.decoder[-1 - k]
        if isinstance(decoder, Layer):
            decoder.weight.copy_(encoder.weight.t())

    def class_logits(self, code: Tensor) -> Tensor:
        """Return class logits of a code: (batch, code_size) -> (batch, n_classes)."""
        return self.classifier.logits(code)

    def classifier_weights(self) -> list[Tensor]:
        """Return the weight matrices that penalties apply to in classification: the encoder's and the softmax's."""
        return [*self.encoder_weights(), self.classifier.weight]

    def classifier_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that classification trains: all but the decoder's."""
        for layer in (*self.unrolled.encoder, self.classifier):
            yield from layer.parameters()

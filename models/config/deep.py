"""The section of the deep autoencoder: `networks.deep`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sweeps.models.config.autoencoder import Activation, SingleNoiseConfig
from sweeps.models.config.limits import MAX_LAYERS, Units


class DeepConfig(SingleNoiseConfig):
    """Hidden layers narrowing to a code, mirrored by the decoder unless `decoder_sizes` names other hidden layers."""

    network: ClassVar[str] = "sweeps.models.networks.deep:build"
    size_setting: ClassVar[str] = "model.code_size"

    name: Literal["deep"] = Field(default="deep", description="The network family.")
    hidden_sizes: tuple[Units, ...] = Field(
        default=(512, 128),
        max_length=MAX_LAYERS,
        description="Units of each hidden layer between the input and the code.",
    )
    code_size: Units = Field(default=32, description="Units of the code.")
    code_activation: Activation = Field(default="linear", description="Activation function of the code.")
    decoder_sizes: Annotated[tuple[Units, ...], Field(max_length=MAX_LAYERS)] | None = Field(
        default=None, description="Units of each hidden layer of the decoder; by default the encoder's in reverse."
    )
    biases: bool = Field(default=True, description="Whether the layers have biases.")

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """The hidden layers before the code, and the code."""
        return (*self.hidden_sizes, self.code_size)

    @property
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """Those of the encoder, the code and the decoder."""
        inner: tuple[str, Activation] = ("activation", self.activation)
        n_back = len(self.hidden_sizes if self.decoder_sizes is None else self.decoder_sizes)
        return (*[inner] * len(self.hidden_sizes), ("code_activation", self.code_activation), *[inner] * n_back)

    @model_validator(mode="after")
    def tied_weights_need_a_mirrored_decoder(self) -> Self:
        if self.tied_weights and self.decoder_sizes is not None:
            raise ValueError("tied_weights needs the decoder to mirror the encoder: leave decoder_sizes out")
        return self

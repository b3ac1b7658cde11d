"""The section of the linear model: `networks.linear`."""

from typing import ClassVar, Literal

from pydantic import Field

from sweeps.models.config.autoencoder import Activation, SingleNoiseConfig


class LinearConfig(SingleNoiseConfig):
    """One linear layer from the features to the features: it has no code, and settings of a code are rejected.

    The rows of its weight matrix take the place of the filters of other models.
    """

    network: ClassVar[str] = "sweeps.models.networks.linear:build"
    size_setting: ClassVar[str] = "model.name"

    name: Literal["linear"] = Field(default="linear", description="The network family.")
    activation: Literal["linear"] = Field(default="linear", description="Always linear: there is no hidden layer.")
    output_activation: Literal["linear"] = Field(
        default="linear", description="Activation function of the output, always linear."
    )
    loss: Literal["mse"] = Field(default="mse", description="Reconstruction loss, always mean squared error.")
    tied_weights: Literal[False] = Field(default=False, description="Always false: there is no decoder.")
    hidden_l1: float = Field(default=0.0, ge=0, le=0, description="Always 0: there are no hidden activations.")

    @property
    def code_size(self) -> None:
        """None: there is no code."""
        return None

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """Empty: there is no code."""
        return ()

    @property
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """Empty: there is no hidden layer."""
        return ()

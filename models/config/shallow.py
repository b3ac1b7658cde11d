"""The section of the shallow autoencoder: `networks.shallow`."""

from typing import ClassVar, Literal

from pydantic import Field

from sweeps.models.config.autoencoder import Activation, SingleNoiseConfig
from sweeps.models.config.limits import Units


class ShallowConfig(SingleNoiseConfig):
    """One hidden layer, which is the code."""

    network: ClassVar[str] = "sweeps.models.networks.shallow:build"
    size_setting: ClassVar[str] = "model.hidden_size"

    name: Literal["shallow"] = Field(default="shallow", description="The network family.")
    hidden_size: Units = Field(default=64, description="Units of the hidden layer, which is the code.")

    @property
    def code_size(self) -> int:
        """Units of the code."""
        return self.hidden_size

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """The hidden layer alone."""
        return (self.hidden_size,)

    @property
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """That of the hidden layer."""
        return (("activation", self.activation),)

"""What the network families of this package share: the settings of their layers, and the answers each must give."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sweeps.models.config.network import Activation, LabelsSetting, NetworkConfig, Standardization

__all__ = [
    "Activation",
    "AutoencoderConfig",
    "Initialization",
    "LabelsSetting",
    "SingleNoiseConfig",
    "Standardization",
]

Initialization = Literal["glorot", "tutorial", "small", "identity", "unit_interval"]


class AutoencoderConfig(NetworkConfig):
    """The settings of every autoencoder of this package. `networks.network.initialise` defines `initialization`."""

    initialise: ClassVar[str] = "sweeps.models.networks.network:initialise_section"

    activation: Activation = Field(default="relu", description="Activation function of the hidden layers.")
    tied_weights: bool = Field(
        default=False, description="Whether the decoder uses the transposed weights of the encoder."
    )
    initialization: Initialization = Field(
        default="glorot", description="Distribution from which the initial weights are drawn."
    )

    if TYPE_CHECKING:  # At runtime a property here would hide the field of a family that sets the size directly.

        @property
        @abstractmethod
        def code_size(self) -> int | None:
            """Units of the code, a field or a property of each family; None for a network without a code."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Raise TypeError for a family, a section with a `name`, that does not declare `code_size`."""
        super().__pydantic_init_subclass__(**kwargs)
        if "name" in cls.model_fields and "code_size" not in cls.model_fields and not hasattr(cls, "code_size"):
            raise TypeError(
                f"{cls.__name__} must have code_size, the units of its code: declare a field or a property, which is "
                "None for a network without a code"
            )

    @property
    @abstractmethod
    def encoder_sizes(self) -> tuple[int, ...]:
        """The units of each layer of the encoder, the code last; empty for a network without a code."""

    @property
    @abstractmethod
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """For each hidden layer from the input on, the setting that names its activation, and the activation."""


class SingleNoiseConfig(AutoencoderConfig):
    """An autoencoder that corrupts its input only."""

    @model_validator(mode="after")
    def one_noise_level(self) -> Self:
        self._need_one_noise_level()
        return self

"""What all network families share: their settings, and the properties that the service asks of a family.

Nothing outside asks which family a section belongs to: it asks for these properties. A section names the functions that
build its parts as "module:function"; `models.build` imports them when a network is built, so the config stays free of
torch.
"""

from abc import abstractmethod
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeFloat, model_validator

from sweeps.models.config.training import NoiseConfig, Section

# `sigmoid_first_row` reproduces a published bug, a sigmoid with a wrong derivative: see the recipe numpy-2x2-faulty.
Activation = Literal["linear", "sigmoid", "tanh", "relu", "elu", "sigmoid_first_row"]
Standardization = Literal["none", "sample", "feature"]
Initialization = Literal["glorot", "tutorial", "small", "identity", "unit_interval"]


class LabelsSetting(NamedTuple):
    """The setting that decides whether the networks of a family learn labels, and its two values."""

    name: str
    with_labels: str
    without_labels: str

    @property
    def path(self) -> str:
        """The dotted path of the setting in a sweep file."""
        return f"model.{self.name}"


class AutoencoderConfig(Section):
    """The settings of every autoencoder, and the properties that the service asks of its family.

    The penalties are coefficients of the terms that `training.penalties` defines; `penalty_reduction` says whether
    those are means (theanets 0.7) or sums. They are part of `train/loss` and of no `valid/` metric.

    `standardize` subtracts a mean and divides by a standard deviation on the way in, and undoes that on the way out:
    the model takes and returns raw values. With `sample`, they are each sample's, over its features. The loss then
    measures errors in units of each sample's deviation, while the metrics compare raw values. With `feature`, they are
    each feature's, over the training split. Then not only the loss, but also `valid/mse`, `valid/denoise_mse`, the
    errors of PCA and of the mean predictor, and a packaged model's `reconstruction_error` are in units of each
    feature's deviation, and noise corrupts the standardised values. A feature that is constant in training is
    reconstructed as its mean, and its error counts as 0. `networks.network.initialise` defines `initialization`.
    """

    # (section, input_size, n_classes) -> Network, with weights of 0.
    network: ClassVar[str]
    # (section, network) -> Objective: what the last phase minimises.
    objective: ClassVar[str] = "sweeps.models.training.objectives:reconstruction"
    # (section, network) -> list[Phase]: the phases before the last, if the family has any.
    pretraining_phases: ClassVar[str | None] = None
    # Where the size of the code is set; without a code: the setting that selects a model with one.
    size_setting: ClassVar[str]
    # What makes the last phase train on labels, for a family that can.
    labels_setting: ClassVar[LabelsSetting | None] = None
    # Whether the last phase corrupts the input.
    denoises: ClassVar[bool] = True

    activation: Activation = Field("relu", description="Activation function of the hidden layers.")
    output_activation: Literal["linear", "sigmoid"] = Field(
        "linear", description="Activation function of the output; sigmoid needs inputs in [0, 1]."
    )
    tied_weights: bool = Field(False, description="Whether the decoder uses the transposed weights of the encoder.")
    initialization: Initialization = Field(
        "glorot", description="Distribution from which the initial weights are drawn."
    )
    standardize: Standardization = Field(
        "none",
        description="Subtract the mean and divide by the standard deviation inside the model: of each sample, or of "
        "each feature over the training split.",
    )
    loss: Literal["mse", "bce"] = Field(
        "mse", description="Reconstruction loss: mean squared error, or binary cross-entropy for inputs in [0, 1]."
    )
    loss_reduction: Literal["mean", "sum"] = Field(
        "mean", description="Whether the loss of a sample is the mean or the sum over its features."
    )
    noise: NoiseConfig = Field(NoiseConfig(), description="Corruption of the input during training.")
    weight_l1: NonNegativeFloat = Field(
        0.0, description="Coefficient of the L1 penalty on the weights.", examples=[1e-4]
    )
    weight_l2: NonNegativeFloat = Field(
        0.0, description="Coefficient of the L2 penalty on the weights.", examples=[1e-4]
    )
    hidden_l1: NonNegativeFloat = Field(
        0.0, description="Coefficient of the L1 penalty on the hidden activations, for sparse codes.", examples=[1e-4]
    )
    penalty_reduction: Literal["mean", "sum"] = Field(
        "mean", description="Whether each penalty is a mean or a sum over its terms."
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

    @property
    def classifies(self) -> bool:
        """Whether the last phase trains the network to predict labels, not to reconstruct."""
        labels = self.labels_setting
        return labels is not None and getattr(self, labels.name) == labels.with_labels

    @property
    def n_pretraining_epochs(self) -> int:
        """Epochs of all phases before the last."""
        return 0

    @property
    def pretraining_batches(self) -> Hashable | None:
        """What decides the batches of the phases before the last: equal for trials that can share them."""
        return None

    def pretraining_rate(self, layer: int) -> tuple[float, str] | None:
        """Return the learning rate at which a layer, counted from 0, is pretrained, and the path of its setting.

        None for a family without pretraining.
        """
        return None

    @property
    def unit_interval_needs(self) -> tuple[tuple[str, str], ...]:
        """The settings that need inputs in [0, 1], each with what to use for other inputs."""
        if self.loss == "bce":
            return (("loss bce", "loss mse"),)
        return (
            (("output_activation sigmoid", "output_activation linear"),) if self.output_activation == "sigmoid" else ()
        )

    @property
    def complete_data_needs(self) -> tuple[tuple[str, str], ...]:
        """The settings that need inputs without missing values, each with what to use for other inputs."""
        return ()

    @model_validator(mode="after")
    def standardised_values_are_restored_from_linear_outputs(self) -> Self:
        if self.standardize != "none" and (self.output_activation != "linear" or self.loss != "mse"):
            is_mse = self.loss == "mse"
            raise ValueError(
                f"standardize {self.standardize} needs unbounded outputs: set output_activation to linear"
                f"{'' if is_mse else ' and loss to mse'}, not {self.output_activation}"
                f"{'' if is_mse else f' and {self.loss}'}"
            )
        return self

    @model_validator(mode="after")
    def cross_entropy_needs_probabilities(self) -> Self:
        if self.loss == "bce" and self.output_activation != "sigmoid":
            raise ValueError(
                f"loss bce needs outputs in [0, 1]: set output_activation to sigmoid, not {self.output_activation}"
            )
        return self


class SingleNoiseConfig(AutoencoderConfig):
    """An autoencoder that corrupts its input only."""

    @model_validator(mode="after")
    def one_noise_level(self) -> Self:
        if isinstance(self.noise.level, tuple):
            raise ValueError("noise.level must be one number: one level per layer is for the stacked_denoising model")
        return self

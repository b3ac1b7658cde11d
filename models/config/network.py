"""What all networks share: their settings, and the properties that the service asks of a section.

Nothing outside asks which family a section belongs to: it asks for these properties. A section names the functions that
build its parts as "module:function"; `models.build` imports them when a network is built, so the config stays free of
torch.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeFloat, model_validator

from sweeps.models.config.training import NoiseConfig
from sweeps.section import Section

# `sigmoid_first_row` reproduces a published bug, a sigmoid with a wrong derivative: see the recipe numpy-2x2-faulty.
Activation = Literal["linear", "sigmoid", "tanh", "relu", "elu", "sigmoid_first_row"]
Standardization = Literal["none", "sample", "feature"]


class LabelsSetting(NamedTuple):
    """The setting that decides whether the networks of a family learn labels, and its two values."""

    name: str
    with_labels: str
    without_labels: str

    @property
    def path(self) -> str:
        """The dotted path of the setting in a sweep file."""
        return f"model.{self.name}"


class NetworkConfig(Section):
    """The settings of every network, and the properties that the service asks of its section.

    The penalties are coefficients of the terms that `training.penalties` defines; `penalty_reduction` says whether
    those are means (theanets 0.7) or sums. They are part of `train/loss` and of no `valid/` metric.

    `standardize` subtracts a mean and divides by a standard deviation on the way in, and undoes that on the way out:
    the model takes and returns raw values. With `sample`, they are each sample's, over its features. The loss then
    measures errors in units of each sample's deviation, while the metrics compare raw values. With `feature`, they are
    each feature's, over the training split. Then not only the loss, but also `valid/mse`, `valid/denoise_mse`, the
    errors of PCA and of the mean predictor, and a packaged model's `reconstruction_error` are in units of each
    feature's deviation, and noise corrupts the standardised values. A feature that is constant in training is
    reconstructed as its mean, and its error counts as 0.
    """

    # (section, SampleShape, n_classes) -> Network, with weights of 0.
    network: ClassVar[str]
    # (network, section, generator): give a network its initial weights.
    initialise: ClassVar[str]
    # (section, network) -> Objective: what the last phase minimises.
    objective: ClassVar[str] = "sweeps.models.training.objectives:reconstruction"
    # (section, network) -> list[Phase]: the phases before the last, if the family has any.
    pretraining_phases: ClassVar[str | None] = None
    # Where the size of the code is set; without a code: the setting that selects a model with one. None: no setting.
    size_setting: ClassVar[str | None]
    # What makes the last phase train on labels, for a family that can.
    labels_setting: ClassVar[LabelsSetting | None] = None
    # Whether the last phase corrupts the input.
    denoises: ClassVar[bool] = True

    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear", description="Activation function of the output; sigmoid needs inputs in [0, 1]."
    )
    standardize: Standardization = Field(
        default="none",
        description="Subtract the mean and divide by the standard deviation inside the model: of each sample, or of "
        "each feature over the training split.",
    )
    loss: Literal["mse", "bce"] = Field(
        default="mse",
        description="Reconstruction loss: mean squared error, or binary cross-entropy for inputs in [0, 1].",
    )
    loss_reduction: Literal["mean", "sum"] = Field(
        default="mean", description="Whether the loss of a sample is the mean or the sum over its features."
    )
    noise: NoiseConfig = Field(default=NoiseConfig(), description="Corruption of the input during training.")
    weight_l1: NonNegativeFloat = Field(
        default=0.0, description="Coefficient of the L1 penalty on the weights.", examples=[1e-4]
    )
    weight_l2: NonNegativeFloat = Field(
        default=0.0, description="Coefficient of the L2 penalty on the weights.", examples=[1e-4]
    )
    hidden_l1: NonNegativeFloat = Field(
        default=0.0,
        description="Coefficient of the L1 penalty on the hidden activations, for sparse codes.",
        examples=[1e-4],
    )
    penalty_reduction: Literal["mean", "sum"] = Field(
        default="mean", description="Whether each penalty is a mean or a sum over its terms."
    )

    if TYPE_CHECKING:  # At runtime a property here would hide the field of a section that has one.

        @property
        def name(self) -> str:
            """The network family, or the import path or entry point of a plug-in."""

        @property
        def code_size(self) -> int | None:
            """Units of the code, a field or a property of each family; None for a network without a code."""

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """The units of each layer of the encoder, the code last; empty if the section does not say."""
        return ()

    @property
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """For each hidden layer from the input on, the setting that names its activation, and the activation.

        Empty if no setting names any.
        """
        return ()

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

    def _need_one_noise_level(self) -> None:
        """Raise ValueError for a noise level per layer."""
        if isinstance(self.noise.level, tuple):
            raise ValueError("noise.level must be one number: one level per layer is for the stacked_denoising model")

"""The section of the stacked denoising autoencoder: `networks.stacked_denoising`, `training.pretraining`."""

from collections.abc import Hashable
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from sweeps.models.config.autoencoder import Activation, AutoencoderConfig, LabelsSetting
from sweeps.models.config.limits import MAX_LAYERS, Units
from sweeps.models.config.training import LayerNoiseConfig, PretrainingConfig


class StackedDenoisingConfig(AutoencoderConfig):
    """Layers trained one by one on the codes of the layers below, then fine-tuned together (Vincent et al. 2010).

    `fine_tuning` trains the encoder with a softmax layer on labels (`classification`) or the unrolled autoencoder
    (`reconstruction`). `code_activation` is that of the last hidden layer, by default `activation`.
    """

    network: ClassVar[str] = "sweeps.models.networks.stacked_denoising:build"
    objective: ClassVar[str] = "sweeps.models.training.objectives:fine_tuning"
    pretraining_phases: ClassVar[str | None] = "sweeps.models.training.pretraining:pretraining_phases"
    size_setting: ClassVar[str] = "model.hidden_sizes"
    labels_setting: ClassVar[LabelsSetting | None] = LabelsSetting("fine_tuning", "classification", "reconstruction")
    denoises: ClassVar[bool] = False  # the layers meet their noise in pretraining

    name: Literal["stacked_denoising"] = Field(default="stacked_denoising", description="The network family.")
    hidden_sizes: tuple[Units, ...] = Field(
        default=(1000, 1000, 1000),
        min_length=1,
        max_length=MAX_LAYERS,
        description="Units of each hidden layer from the input on; the last is the code.",
    )
    activation: Activation = Field(default="sigmoid", description="Activation function of the hidden layers.")
    code_activation: Activation | None = Field(
        default=None, description="Activation function of the last hidden layer; by default that of the others."
    )
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="sigmoid", description="Activation function of the output; sigmoid needs inputs in [0, 1]."
    )
    tied_weights: bool = Field(
        default=True, description="Whether the decoder uses the transposed weights of the encoder."
    )
    loss: Literal["mse", "bce"] = Field(
        default="bce",
        description="Reconstruction loss: mean squared error, or binary cross-entropy for inputs in [0, 1].",
    )
    noise: LayerNoiseConfig = Field(
        default=LayerNoiseConfig(), description="Corruption of each layer's input during pretraining."
    )
    pretraining: PretrainingConfig = Field(
        default=PretrainingConfig(), description="Layer-wise pretraining before fine-tuning."
    )
    fine_tuning: Literal["classification", "reconstruction"] = Field(
        default="classification", description="What the whole network learns after pretraining: labels or the input."
    )

    @property
    def code_size(self) -> int:
        """Units of the code: the last hidden layer."""
        return self.hidden_sizes[-1]

    @property
    def encoder_sizes(self) -> tuple[int, ...]:
        """The hidden layers: the last is the code."""
        return self.hidden_sizes

    @property
    def hidden_activations(self) -> tuple[tuple[str, Activation], ...]:
        """Those of the encoder, the code and the mirrored decoder."""
        side: list[tuple[str, Activation]] = [("activation", self.activation)] * (len(self.hidden_sizes) - 1)
        code: tuple[str, Activation] = ("activation", self.activation)
        if self.code_activation is not None:
            code = ("code_activation", self.code_activation)
        return (*side, code, *side)

    @property
    def n_pretraining_epochs(self) -> int:
        """Epochs of the pretraining of all layers together."""
        return self.pretraining.epochs * len(self.hidden_sizes)

    @property
    def pretraining_batches(self) -> Hashable | None:
        """Epochs per layer, batch size and number of layers; None without pretraining."""
        if not self.n_pretraining_epochs:
            return None
        return self.pretraining.epochs, self.pretraining.batch_size, len(self.hidden_sizes)

    def pretraining_rate(self, layer: int) -> tuple[float, str]:
        """Return the learning rate at which a layer, counted from 0, is pretrained, and the path of its setting."""
        rate, setting = self.pretraining.rate_of(layer, len(self.hidden_sizes))
        return rate, f"model.pretraining.{setting}"

    @property
    def unit_interval_needs(self) -> tuple[tuple[str, str], ...]:
        """Cross-entropy, and Boltzmann machines, whose visible units are logistic."""
        needs = () if self._machines and self.loss != "bce" else super().unit_interval_needs
        return (*needs, *self._machines)

    @property
    def complete_data_needs(self) -> tuple[tuple[str, str], ...]:
        """Boltzmann machines, whose free energy is that of whole samples."""
        return self._machines

    @property
    def _machines(self) -> tuple[tuple[str, str], ...]:
        machines = ("pretraining.method contrastive_divergence", "method denoising")
        return (machines,) if self.pretraining.uses_boltzmann_machines else ()

    @model_validator(mode="after")
    def cross_entropy_needs_codes_that_are_probabilities(self) -> Self:
        pretrains_on_codes = self.pretraining.epochs > 0 and len(self.hidden_sizes) > 1
        if self.loss == "bce" and pretrains_on_codes and self.activation != "sigmoid":
            raise ValueError(
                "loss bce needs codes in [0, 1] for the layers above the first to reconstruct: set activation to "
                f"sigmoid, or loss to mse, not activation {self.activation}"
            )
        return self

    @model_validator(mode="after")
    def boltzmann_machines_have_logistic_units(self) -> Self:
        if not self.pretraining.uses_boltzmann_machines:
            return self
        needs = "pretraining.method contrastive_divergence needs"
        if self.activation != "sigmoid" or self.output_activation != "sigmoid":
            raise ValueError(
                f"{needs} logistic units: set activation and output_activation to sigmoid, not {self.activation} and "
                f"{self.output_activation}"
            )
        if self.code_activation not in (None, "sigmoid", "linear"):
            raise ValueError(
                f"{needs} a code of logistic or linear units: set code_activation to sigmoid or linear, not "
                f"{self.code_activation}"
            )
        if self.noise.level != 0:
            raise ValueError(
                f"{needs} clean inputs, because it draws its own samples: set noise.level to 0, not {self.noise.level}"
            )
        return self

    @model_validator(mode="after")
    def one_noise_level_per_layer(self) -> Self:
        if isinstance(self.noise.level, tuple) and len(self.noise.level) != len(self.hidden_sizes):
            raise ValueError(
                f"noise.level must be one number, or one per layer: {len(self.hidden_sizes)} for hidden_sizes "
                f"{list(self.hidden_sizes)}, not {len(self.noise.level)}"
            )
        return self

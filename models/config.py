"""The `model` and `training` sections of a trial config. Imports nothing heavy."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

# `sigmoid_first_row` is a published fault, a sigmoid with a wrong derivative: the recipe numpy-2x2-faulty shows it.
Activation = Literal["linear", "sigmoid", "tanh", "relu", "elu", "sigmoid_first_row"]
Schedule = Literal["constant", "cosine"]
Initialization = Literal["glorot", "tutorial", "small", "identity", "unit_interval"]
Probability = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoiseConfig(Section):
    """Corruption of the input while training; the target stays clean.

    `level` is the probability that an input is set to 0 (`masking`) or to 0 or 1 by a fair coin (`salt_and_pepper`), or
    the standard deviation of what is added (`gaussian`). A stacked model takes one level for all, or one a layer.
    """

    kind: Literal["masking", "gaussian", "salt_and_pepper"] = "masking"
    level: NonNegativeFloat | tuple[NonNegativeFloat, ...] = 0.0

    @model_validator(mode="after")
    def level_is_a_probability(self) -> Self:
        levels = self.level if isinstance(self.level, tuple) else (self.level,)
        if self.kind != "gaussian" and max(levels, default=0.0) > 1:
            raise ValueError(f"level of {self.kind} noise is a probability and must lie in [0, 1], not {self.level}")
        return self


class LayerNoiseConfig(NoiseConfig):
    """Corruption of each layer's input: one level for all, or one a layer, as in the published stack of three."""

    level: NonNegativeFloat | tuple[NonNegativeFloat, ...] = 0.2


class AutoencoderConfig(Section):
    """What every autoencoder takes.

    The penalties are coefficients of the terms that `training.penalties` defines; `penalty_reduction` says whether
    those are means (theanets 0.7) or sums. They are part of `train/loss` and of no `valid/` metric.

    `standardize: sample` subtracts each sample's mean over its features and divides by its standard deviation on the
    way in, and undoes that on the way out: the model takes and returns raw values, and so do the metrics, while the
    loss counts errors in units of each sample's deviation. `networks.network.initialise` defines `initialization`.
    """

    activation: Activation = "relu"
    output_activation: Literal["linear", "sigmoid"] = "linear"
    tied_weights: bool = False
    initialization: Initialization = "glorot"
    standardize: Literal["none", "sample"] = "none"
    loss: Literal["mse", "bce"] = "mse"
    loss_reduction: Literal["mean", "sum"] = "mean"
    noise: NoiseConfig = NoiseConfig()
    weight_l1: NonNegativeFloat = 0.0
    weight_l2: NonNegativeFloat = 0.0
    hidden_l1: NonNegativeFloat = 0.0
    penalty_reduction: Literal["mean", "sum"] = "mean"

    @model_validator(mode="after")
    def cross_entropy_needs_probabilities(self) -> Self:
        if self.loss == "bce" and self.output_activation != "sigmoid":
            raise ValueError(
                f"loss bce needs outputs in [0, 1]: set output_activation to sigmoid, not {self.output_activation}"
            )
        return self

    @model_validator(mode="after")
    def standardised_samples_are_restored_from_linear_outputs(self) -> Self:
        if self.standardize == "sample" and self.output_activation != "linear":
            raise ValueError(
                "standardize sample needs outputs of any size to restore: set output_activation to linear, not "
                f"{self.output_activation}"
            )
        return self


class SingleNoiseConfig(AutoencoderConfig):
    """An autoencoder that corrupts its input only."""

    @model_validator(mode="after")
    def one_noise_level(self) -> Self:
        if isinstance(self.noise.level, tuple):
            raise ValueError("noise.level must be one number: a level a layer is for the stacked_denoising model")
        return self


class LinearConfig(SingleNoiseConfig):
    """One linear layer from the features to the features: there is no code, so nothing that other settings could say.

    Its weight matrix is what the filters of other models are.
    """

    name: Literal["linear"] = "linear"
    activation: Literal["linear"] = "linear"
    output_activation: Literal["linear"] = "linear"
    tied_weights: Literal[False] = False
    hidden_l1: Annotated[float, Field(ge=0, le=0)] = 0.0

    @property
    def code_size(self) -> None:
        """No code."""
        return None


class ShallowConfig(SingleNoiseConfig):
    """One hidden layer, which is the code."""

    name: Literal["shallow"] = "shallow"
    hidden_size: PositiveInt = 64

    @property
    def code_size(self) -> int:
        """Units of the code."""
        return self.hidden_size


class DeepConfig(SingleNoiseConfig):
    """Hidden layers narrowing to a code, mirrored by the decoder unless `decoder_sizes` names other hidden layers."""

    name: Literal["deep"] = "deep"
    hidden_sizes: tuple[PositiveInt, ...] = (512, 128)
    code_size: PositiveInt = 32
    code_activation: Activation = "linear"
    decoder_sizes: tuple[PositiveInt, ...] | None = None
    biases: bool = True

    @model_validator(mode="after")
    def tied_weights_need_a_mirrored_decoder(self) -> Self:
        if self.tied_weights and self.decoder_sizes is not None:
            raise ValueError("tied_weights needs the decoder to mirror the encoder: leave decoder_sizes out")
        return self


class FitConfig(Section):
    """Some epochs of Adam with its published defaults, or of gradient descent, to which alone `momentum` belongs.

    The `cosine` schedule takes the learning rate to nearly 0 by the last epoch.
    """

    epochs: Annotated[int, Field(ge=0)]
    batch_size: PositiveInt = 128
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    schedule: Schedule = "constant"

    @model_validator(mode="after")
    def momentum_is_for_gradient_descent(self) -> Self:
        if self.momentum > 0 and self.optimizer != "sgd":
            raise ValueError(
                f"momentum is a setting of sgd, and {self.optimizer} has its own: set optimizer to sgd, or momentum to "
                f"0, not {self.momentum}"
            )
        return self


class PretrainingConfig(FitConfig):
    """Greedy layer-wise training before fine-tuning: these settings hold for each layer.

    A layer learns to undo corruption (`denoising`) or as a restricted Boltzmann machine (`contrastive_divergence`),
    which `training.contrastive_divergence` defines. `code_learning_rate`, by default the same, is that of the last
    layer: linear units of a Boltzmann machine want a hundredth of what logistic ones do (Hinton & Salakhutdinov 2006).
    """

    method: Literal["denoising", "contrastive_divergence"] = "denoising"
    epochs: Annotated[int, Field(ge=0)] = 15
    code_learning_rate: PositiveFloat | None = None

    def rate_of(self, layer: int, n_layers: int) -> tuple[float, str]:
        """The learning rate of a layer, counted from 0, and the setting that it is taken from."""
        if layer == n_layers - 1 and self.code_learning_rate is not None:
            return self.code_learning_rate, "code_learning_rate"
        return self.learning_rate, "learning_rate"

    @property
    def samples(self) -> bool:
        """Whether the layers are Boltzmann machines, which draw samples, and are trained at all."""
        return self.method == "contrastive_divergence" and self.epochs > 0


class StackedDenoisingConfig(AutoencoderConfig):
    """Layers trained one on another's codes, by default as denoising autoencoders, then together (Vincent et al. 2010).

    `fine_tuning` ends in a softmax on the labels (`classification`) or in the unrolled autoencoder (`reconstruction`).
    `code_activation` is that of the last hidden layer, by default `activation`.
    """

    name: Literal["stacked_denoising"] = "stacked_denoising"
    hidden_sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1000, 1000, 1000)
    activation: Activation = "sigmoid"
    code_activation: Activation | None = None
    output_activation: Literal["linear", "sigmoid"] = "sigmoid"
    tied_weights: bool = True
    loss: Literal["mse", "bce"] = "bce"
    noise: LayerNoiseConfig = LayerNoiseConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    fine_tuning: Literal["classification", "reconstruction"] = "classification"

    @property
    def code_size(self) -> int:
        """Units of the code: the last hidden layer."""
        return self.hidden_sizes[-1]

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
        if not self.pretraining.samples:
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
                f"{needs} clean inputs, for it draws its own samples: set noise.level to 0, not {self.noise.level}"
            )
        return self

    @model_validator(mode="after")
    def one_noise_level_a_layer(self) -> Self:
        if isinstance(self.noise.level, tuple) and len(self.noise.level) != len(self.hidden_sizes):
            raise ValueError(
                f"noise.level must be one number or one a layer: {len(self.hidden_sizes)} for hidden_sizes "
                f"{list(self.hidden_sizes)}, not {len(self.noise.level)}"
            )
        return self


ModelConfig = Annotated[LinearConfig | ShallowConfig | DeepConfig | StackedDenoisingConfig, Field(discriminator="name")]


class TrainingConfig(FitConfig):
    """How a network is trained. `epochs` counts fine-tuning for a stacked model, whose pre-training comes before.

    An epoch is `passes_per_epoch` times through the training samples: more than one where they are so few that what is
    done once an epoch would take longer than the training. `validate_every` is in epochs; the last epoch is always
    validated. With `patience` a training ends after that many epochs, or later where it gains: a value of the first
    objective better than the best one by half a percent lets it go on to twice the epoch (Deep Learning Tutorials);
    `epochs` is the most it may take. `probe_samples` training samples fit the linear classifier behind
    `valid/probe_error`; 0 leaves that metric out.
    """

    epochs: PositiveInt = 20
    patience: PositiveInt | None = None
    passes_per_epoch: PositiveInt = 1
    seed: Annotated[int, Field(ge=0)] = 0
    validate_every: PositiveInt = 1
    probe_samples: Annotated[int, Field(ge=0)] = 2000

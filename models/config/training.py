"""How networks are trained: corruption, the `training` section of a trial config, and pretraining."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from sweeps.models.config.limits import Count, CountOrZero, Seed
from sweeps.section import Section

Schedule = Literal["constant", "cosine"]


class NoiseConfig(Section):
    """Corruption of the input during training; the target stays clean.

    `level` is the probability that an input is set to 0 (`masking`) or to 0 or 1 by a fair coin (`salt_and_pepper`), or
    the standard deviation of the added noise (`gaussian`). A stacked model takes one level for all layers, or one per
    layer.
    """

    kind: Literal["masking", "gaussian", "salt_and_pepper"] = Field(
        default="masking", description="Set inputs to 0, add normal noise, or set inputs to 0 or 1 by a fair coin."
    )
    level: NonNegativeFloat | tuple[NonNegativeFloat, ...] = Field(
        default=0.0, description="Probability that an input is corrupted, or the standard deviation of gaussian noise."
    )

    def level_of(self, layer: int) -> float:
        """Return the level of a layer, counted from 0: the first corrupts the network's input."""
        return self.level[layer] if isinstance(self.level, tuple) else self.level

    @model_validator(mode="after")
    def level_is_a_probability(self) -> Self:
        levels = self.level if isinstance(self.level, tuple) else (self.level,)
        if self.kind != "gaussian" and max(levels, default=0.0) > 1:
            raise ValueError(f"level of {self.kind} noise is a probability and must lie in [0, 1], not {self.level}")
        return self


class LayerNoiseConfig(NoiseConfig):
    """Corruption of each layer's input: one level for all, or one per layer, as in the published stack of three."""

    level: NonNegativeFloat | tuple[NonNegativeFloat, ...] = Field(
        default=0.2,
        description="Probability of corrupting an input, or deviation of gaussian noise: one, or one per layer.",
    )


class FitConfig(Section):
    """Epochs of Adam with its published defaults, or of gradient descent; only the latter takes `momentum`.

    The `cosine` schedule lowers the learning rate to nearly 0 by the last epoch.
    """

    epochs: CountOrZero = Field(description="Epochs of training.")
    batch_size: Count = Field(default=128, description="Samples per gradient step.")
    optimizer: Literal["adam", "sgd"] = Field(
        default="adam", description="Adam with its published defaults, or stochastic gradient descent."
    )
    learning_rate: PositiveFloat = Field(default=1e-3, description="Step size of the optimizer.")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="Momentum of sgd; adam has its own.")
    schedule: Schedule = Field(
        default="constant",
        description="Learning rate over the epochs: constant, or lowered to nearly 0 along a cosine.",
    )

    @model_validator(mode="after")
    def momentum_is_for_gradient_descent(self) -> Self:
        if self.momentum > 0 and self.optimizer != "sgd":
            raise ValueError(
                f"momentum is a setting of sgd, and {self.optimizer} has its own: set optimizer to sgd, or momentum to "
                f"0, not {self.momentum}"
            )
        return self


class PretrainingConfig(FitConfig):
    """Greedy layer-wise pretraining before fine-tuning; the settings apply to every layer.

    A layer learns to undo corruption (`denoising`) or as a restricted Boltzmann machine (`contrastive_divergence`,
    defined by `training.contrastive_divergence`). `code_learning_rate` is the last layer's, by default the same: linear
    units of a Boltzmann machine need a hundredth of the rate of logistic ones (Hinton & Salakhutdinov 2006).
    """

    method: Literal["denoising", "contrastive_divergence"] = Field(
        default="denoising", description="Train each layer to undo corruption, or as a restricted Boltzmann machine."
    )
    epochs: CountOrZero = Field(default=15, description="Epochs per layer; 0 skips pretraining.")
    code_learning_rate: PositiveFloat | None = Field(
        default=None, description="Learning rate of the last layer; by default that of the others.", examples=[1e-4]
    )

    def rate_of(self, layer: int, n_layers: int) -> tuple[float, str]:
        """Return the learning rate of a layer, counted from 0, and the name of the setting that it comes from."""
        if layer == n_layers - 1 and self.code_learning_rate is not None:
            return self.code_learning_rate, "code_learning_rate"
        return self.learning_rate, "learning_rate"

    @property
    def uses_boltzmann_machines(self) -> bool:
        """Whether any layer is trained as a restricted Boltzmann machine."""
        return self.method == "contrastive_divergence" and self.epochs > 0


class TrainingConfig(FitConfig):
    """How a network is trained. For a stacked model `epochs` counts fine-tuning, which follows the pretraining.

    An epoch is `passes_per_epoch` passes over the training samples: use more than one for data sets so small that the
    work done once per epoch would outweigh the training. `validate_every` is in epochs; the last epoch is always
    validated. With `patience`, training stops after that many epochs unless the first objective improves: an
    improvement on the best value by half a percent extends training to twice the current epoch (Deep Learning
    Tutorials), and never beyond `epochs`. `probe_samples` training samples fit the linear classifier behind
    `valid/probe_error`; 0 leaves that metric out.
    """

    epochs: Count = Field(default=20, description="Maximum epochs of training; for a stacked model, of fine-tuning.")
    patience: Count | None = Field(
        default=None,
        description="Epochs without improvement of the first objective before a trial stops; by default none stops.",
    )
    passes_per_epoch: Count = Field(
        default=1, description="Passes over the training samples per epoch; raise it for very small data sets."
    )
    seed: Seed = Field(default=0, description="Seed of the initial weights, the order of the samples and the noise.")
    validate_every: Count = Field(
        default=1, description="Epochs between validations; the last epoch is always validated."
    )
    probe_samples: CountOrZero = Field(
        default=2000,
        description="Training samples for the linear classifier behind valid/probe_error; 0 leaves that metric out.",
    )

"""The evidence of a training for its diagnosis: plain numbers and arrays, cheap to collect, mostly optional."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweeps.models.config import AutoencoderConfig
from sweeps.models.diagnosis.feature_scales import FeatureScales
from sweeps.models.metrics import References, constant_units

if TYPE_CHECKING:
    from sweeps.models.config import Activation, ModelConfig, TrainingConfig

Array = NDArray[Any]
History = Sequence[tuple[int, Mapping[str, float]]]

# A unit whose mean slope over samples is a twentieth of its steepest passes on next to no gradient.
_SATURATED_SLOPE = 0.05

# Activations whose slope does not vanish for large inputs on both sides.
_UNBOUNDED: "tuple[Activation, ...]" = ("relu", "elu")


@dataclass(frozen=True)
class Settings:
    """The settings that a diagnosis considers and may advise to change; `..._setting` is the path of a setting.

    Without a code, `code_size` is None, and `size_setting` is where a model with a code is chosen; it is None if no
    setting decides the size of the code. `noise_level` is the corruption in the last phase of training, which a family
    has only if it `denoises`. `hidden_sizes` is set only if the code is the last of them.
    """

    code_size: int | None
    size_setting: str | None
    learning_rate: float
    noise_level: float = 0.0
    weight_l1: float = 0.0
    weight_l2: float = 0.0
    hidden_l1: float = 0.0
    rate_setting: str = "training.learning_rate"
    denoises: bool = True
    optimizer: str = "adam"
    epochs: int = 20
    initialization: str = "glorot"
    standardize: str = "none"
    output_activation: str = "linear"
    loss: str = "mse"
    penalty_reduction: str = "mean"
    hidden_sizes: tuple[int, ...] = ()

    @property
    def penalties(self) -> dict[str, float]:
        """The penalties in use, by dotted path."""
        every = {"weight_l1": self.weight_l1, "weight_l2": self.weight_l2, "hidden_l1": self.hidden_l1}
        return {f"model.{name}": coefficient for name, coefficient in every.items() if coefficient > 0}


@dataclass(frozen=True)
class LossTerms:
    """The training loss at one time in two parts, both in units of the loss."""

    reconstruction: float
    penalty: float

    @property
    def total(self) -> float:
        """What the optimizer minimises."""
        return self.reconstruction + self.penalty

    @property
    def penalty_share(self) -> float:
        """The penalties' share of the loss, from 0 to 1."""
        return self.penalty / self.total if self.total > 0 else 0.0


@dataclass(frozen=True)
class LayerSettings:
    """A hidden layer's activation, its setting, and the activations allowed there that cannot saturate (`cures`)."""

    activation: "Activation"
    setting: str
    cures: "tuple[Activation, ...]" = ()


@dataclass(frozen=True)
class LayerStatistics:
    """The idle units (units,) of a hidden layer: `dead` ones are constant, `saturated` ones have almost no slope."""

    settings: LayerSettings
    dead: NDArray[np.bool_]
    saturated: NDArray[np.bool_]

    @property
    def dead_share(self) -> float:
        """The share of dead units, from 0 to 1."""
        return float(np.mean(self.dead))

    @property
    def saturated_share(self) -> float:
        """The share of saturated units, from 0 to 1."""
        return float(np.mean(self.saturated))


@dataclass(frozen=True)
class Evidence:
    """One training as of its last epoch. None or empty means not collected; rules that need it find nothing.

    `history` holds the metrics by epoch, in order. `column_mean` (features,) is the mean of the scaled training inputs.
    `originals` and `reconstructions` (samples, features) are of clean validation samples; a few hundred suffice.
    `layers` are the hidden layers in order, `filters` (units, features) those of the first. `first_loss` is measured
    before the first step, `last_loss` after the last. `train_mse` is the error on clean training samples. `n_valid` is
    the number of samples behind the `valid/...` metrics. `scales` are those of the training samples, in the units of
    the loss. `typical_gap` is the median of the validation samples' errors over that of the training samples'.
    """

    settings: Settings
    references: References
    history: History
    column_mean: Array | None = None
    originals: Array | None = None
    reconstructions: Array | None = None
    layers: tuple[LayerStatistics, ...] = ()
    filters: Array | None = None
    first_loss: LossTerms | None = None
    last_loss: LossTerms | None = None
    train_mse: float | None = None
    n_valid: int | None = None
    scales: FeatureScales | None = None
    typical_gap: float | None = None

    def values(self, metric: str) -> list[float]:
        """Return a metric's values in the order of epochs, including those that are not finite."""
        return [value for _, value in self.curve(metric)]

    def curve(self, metric: str) -> list[tuple[int, float]]:
        """Return (epoch, value) for each epoch that has the metric: not every epoch may be validated."""
        return [(epoch, metrics[metric]) for epoch, metrics in self.history if metric in metrics]

    def with_losses(self, metric: str) -> tuple[list[float], list[float]]:
        """Return a metric's values, and `train/loss` of the same epochs; epochs that lack either are skipped."""
        pairs = [(of[metric], of["train/loss"]) for _, of in self.history if metric in of and "train/loss" in of]
        return [value for value, _ in pairs], [loss for _, loss in pairs]


def layer_statistics(activations: Array, settings: LayerSettings) -> LayerStatistics:
    """Return the idle units of a hidden layer, by its outputs (samples, units)."""
    outputs = activations.astype(np.float64)
    slopes = {
        "sigmoid": lambda h: 4 * h * (1 - h),
        "sigmoid_first_row": lambda h: 4 * h * (1 - h),
        "tanh": lambda h: 1 - h * h,
        "elu": lambda h: np.minimum(h + 1, 1),
    }
    name = settings.activation
    slope = slopes[name](outputs) if name in slopes else np.ones_like(outputs)  # scaled to 1 at the steepest
    dead = constant_units(activations)
    return LayerStatistics(settings, dead, (slope.mean(axis=0) < _SATURATED_SLOPE) & ~dead)


def settings_of(model: "ModelConfig", training: "TrainingConfig") -> Settings:
    """Return the settings that a diagnosis considers, from a trial's `model` and `training` sections."""
    return Settings(
        code_size=model.code_size,
        size_setting=model.size_setting,
        learning_rate=training.learning_rate,
        noise_level=model.noise.level_of(0) if model.denoises else 0.0,
        weight_l1=model.weight_l1,
        weight_l2=model.weight_l2,
        hidden_l1=model.hidden_l1,
        denoises=model.denoises,
        optimizer=training.optimizer,
        epochs=training.epochs,
        initialization=model.initialization if isinstance(model, AutoencoderConfig) else "glorot",
        standardize=model.standardize,
        output_activation=model.output_activation,
        loss=model.loss,
        penalty_reduction=model.penalty_reduction,
        hidden_sizes=model.encoder_sizes if model.size_setting == "model.hidden_sizes" else (),
    )


def hidden_layers(model: "ModelConfig") -> tuple[LayerSettings, ...]:
    """Return the settings of each hidden layer of a network built from `model`, in order from the input on."""
    return tuple(_layer(model, setting, activation) for setting, activation in model.hidden_activations)


def _layer(model: "ModelConfig", setting: str, activation: "Activation") -> LayerSettings:
    """Return the layer settings of `model.{setting}`; the model may restrict which activations it allows there."""
    cures = tuple(name for name in _UNBOUNDED if _is_allowed(model, setting, name))
    return LayerSettings(activation, f"model.{setting}", cures)


def _is_allowed(model: "ModelConfig", setting: str, activation: "Activation") -> bool:
    try:
        type(model).model_validate({**model.model_dump(), setting: activation})
    except ValueError:
        return False
    return True

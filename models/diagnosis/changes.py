"""The changes of settings that cure a cause: from the settings and the evidence to new values.

`docs/diagnosis-evidence.md` shows what each was measured to cure.
"""

import math
from typing import Literal

import numpy as np

from sweeps.models.diagnosis.evidence import Evidence, LayerStatistics, Settings
from sweeps.models.diagnosis.findings import Change
from sweeps.models.diagnosis.symptoms import HARDLY_ANY, penalty_share, root_mean_square

# Adam's updates are about as large as the rate: below this, a slow training may be given a larger rate.
_LOW_ADAM_RATE = 0.002
# Gradient descent that has not even halved the loss needs a rate larger by more than a factor of ten.
_HARDLY_MOVED = 0.5
# Rates from which Adam kills and saturates units of networks of this kind.
_HIGH_ADAM_RATE = 0.02
# A weighted sum of inputs this large leaves the part of a bounded activation that has a slope.
_LARGE_INPUTS = 5.0
# Variance of the features' means over that of the features. Standardised samples were learned at 1.4 (images of low
# contrast), and not at 90,000 (a table); at 10, a tenth of a standardised sample's variance is left to learn.
_DIFFERENT_MEANS = 10.0
_BOUNDED = ("sigmoid", "tanh")


def lower_rate(settings: Settings, factor: float = 10) -> tuple[Change, ...]:
    """Lower the learning rate."""
    rate = settings.learning_rate
    return (Change(settings.rate_setting, rate, _rounded(rate / factor)),)


def lower_penalties(settings: Settings, factor: float = 10) -> tuple[Change, ...]:
    """Lower every penalty in use."""
    return tuple(Change(path, now, _rounded(now / factor)) for path, now in settings.penalties.items())


def more_epochs(settings: Settings, factor: int = 2) -> tuple[Change, ...]:
    """Train for more epochs."""
    return (Change("training.epochs", settings.epochs, factor * settings.epochs),)


def more_training(evidence: Evidence) -> tuple[Change, ...]:
    """Raise a learning rate that is low, else the epochs; the scale of a rate is known only for Adam."""
    settings = evidence.settings
    rate = settings.learning_rate
    if settings.optimizer == "adam" and rate >= _LOW_ADAM_RATE:
        return more_epochs(settings, 4)
    losses = evidence.values("train/loss")
    hardly_moved = settings.optimizer == "sgd" and bool(losses) and losses[-1] > _HARDLY_MOVED * losses[0]
    return (Change("training.learning_rate", rate, _rounded((100 if hardly_moved else 10) * rate)),)


def revive(layer: LayerStatistics, evidence: Evidence) -> tuple[Change, ...]:
    """Give dead units a gradient again."""
    settings = evidence.settings
    if penalty_share(evidence) > HARDLY_ANY:
        return lower_penalties(settings)
    if settings.hidden_l1 > 0:
        return (Change("model.hidden_l1", settings.hidden_l1, _rounded(settings.hidden_l1 / 10)),)
    if resets := reset_initialization(layer, settings):
        return resets
    if layer.settings.activation in _BOUNDED and has_large_inputs(evidence):
        return rescale_inputs(evidence)
    if settings.optimizer == "adam" and settings.learning_rate >= _HIGH_ADAM_RATE:
        return lower_rate(settings)
    if layer.settings.activation == "relu" and "elu" in layer.settings.cures:
        return (Change(layer.settings.setting, "relu", "elu"),)
    return lower_rate(settings)


def desaturate(layer: LayerStatistics, evidence: Evidence) -> tuple[Change, ...]:
    """Move a layer's sums to where its activation has a slope, or choose an activation that has one everywhere."""
    settings = evidence.settings
    if settings.hidden_l1 > 0:
        return (Change("model.hidden_l1", settings.hidden_l1, _rounded(settings.hidden_l1 / 10)),)
    if resets := reset_initialization(layer, settings):
        return resets
    if has_large_inputs(evidence):
        return rescale_inputs(evidence)
    if settings.optimizer == "adam" and settings.learning_rate >= _HIGH_ADAM_RATE:
        return lower_rate(settings)
    if layer.settings.cures and layer.settings.activation not in layer.settings.cures:
        return (Change(layer.settings.setting, layer.settings.activation, layer.settings.cures[-1]),)
    return lower_rate(settings)


def reset_initialization(layer: LayerStatistics, settings: Settings) -> tuple[Change, ...]:
    """Start a bounded activation from small weights; nothing if it did."""
    if settings.initialization != "unit_interval" or layer.settings.activation not in _BOUNDED:
        return ()
    return (Change("model.initialization", settings.initialization, "glorot"),)


def has_large_inputs(evidence: Evidence) -> bool:
    """Return whether the inputs are so large that a bounded activation hardly varies with them."""
    return evidence.settings.standardize == "none" and root_mean_square(evidence) > _LARGE_INPUTS


def rescale_inputs(evidence: Evidence) -> tuple[Change, ...]:
    """Standardise each sample; each feature if the features' means differ by far, as in most tables.

    In a standardised sample those differences remain, and hide what varies. Where they are small, both cure equally
    well, and standardised samples keep the units of `valid/mse`.
    """
    means = 0.0 if evidence.column_mean is None else float(np.var(evidence.column_mean, dtype=np.float64))
    by_feature = evidence.settings.standardize == "sample" or means > _DIFFERENT_MEANS * evidence.references.mean_mse
    return standardize(evidence.settings, "feature" if by_feature else "sample")


def standardize(settings: Settings, unit: Literal["sample", "feature"]) -> tuple[Change, ...]:
    """Standardise each sample or each feature, with the unbounded outputs that this needs."""
    changes = [Change("model.standardize", settings.standardize, unit)]
    if settings.loss == "bce":
        changes.append(Change("model.loss", "bce", "mse"))
    if settings.output_activation != "linear":
        changes.append(Change("model.output_activation", settings.output_activation, "linear"))
    return tuple(changes)


def resize(settings: Settings, size: int) -> tuple[Change, ...]:
    """Give the code `size` units; a model without a code becomes a shallow one. Nothing if no setting decides it."""
    if settings.size_setting is None:
        return ()
    if settings.code_size is None:
        return (Change(settings.size_setting, "linear", "shallow"), Change("model.hidden_size", None, size))
    if settings.hidden_sizes:
        sizes = list(settings.hidden_sizes)
        return (Change(settings.size_setting, sizes, [*sizes[:-1], size]),)
    return (Change(settings.size_setting, settings.code_size, size),)


def set_noise(settings: Settings, level: float) -> tuple[Change, ...]:
    """Change the corruption of the input."""
    return (Change("model.noise.level", settings.noise_level, _rounded(level)),)


def _rounded(value: float) -> float:
    """Return a value to three significant digits: a setting that a person would write."""
    return value if value == 0 or not math.isfinite(value) else float(f"{value:.3g}")

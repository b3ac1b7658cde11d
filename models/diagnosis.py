"""Why an autoencoder did not learn what was expected: from the evidence of a training to named findings with advice."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import numpy as np

from models.evidence import Array, Evidence, LayerSettings, LayerStatistics, Settings
from models.metrics import mse_over_pca, r2

# Less than a tenth of the variance explained, by outputs that spread a tenth as much as the inputs: nearly a constant.
_HARDLY_ANY = 0.1
# Twice the error of the mean: what answers a constant that far off has yet to find the mean.
_FAR_FROM_MEAN = -1.0
# Fitting the mean alone then takes 99.9 % off the loss of a zero output: the curve looks done and nothing is learnt.
_VARIANCE_OVER_SQUARED_MEAN = 1e-3
# Linear autoencoders trained to their end came within 1 % of PCA on 60,000 samples and 3 % on 1,400: 5 % is no chance.
_WORSE_THAN_PCA = 1.05
# Up to one unit in ten idle costs less than the step from one hidden size of a search to the next.
_IDLE_UNITS = 0.1
# More than half: a step of the optimiser then serves the penalty before the reconstruction.
_DOMINANT_PENALTY = 0.5
# In a network that answers the mean a tenth is cause enough: most of an untrained loss is the mean, free to a bias.
_COLLAPSING_PENALTY = 0.1
# Nothing narrows or disturbs the code, and 95 % of the variance pass: more than most bottlenecks let through.
_COPIED_R2 = 0.95
# A cosine of 0.5: a quarter of a filter's energy lies along one direction out of all its features. A correlation of
# 0.5: a quarter of the variance of its strength over the features is the mean's. Nine units on a stripe of blobs have
# 0.53 to 0.58; 64 with penalties that give single blobs 0.16; nine on digits 0.09.
_FOLLOWS_MEAN = 0.5
# By chance both are about 1 / sqrt(features), and three times that must stay below the threshold.
_MIN_FEATURES_TO_FOLLOW = 36
# Of a value in float32.
_ROUNDING = 1e-6
# A validation error 5 % above its best, while the training loss went on falling, is beyond the noise of an epoch.
_RISE = 1.05
# Half as much error again on unseen samples, if that is 2 % of the variance or more: below, both errors are small.
_GAP, _GAP_OF_VARIANCE = 1.5, 0.02
# Two standard errors of a share of wrong answers: what chance alone hardly gives.
_STANDARD_ERRORS = 2
# In a tenth of the epochs: 1 % of the error and 0.1 % of the variance, the least a person would wait for.
_GAIN_A_TENTH, _OF_VARIANCE_A_TENTH = 0.01, 0.001
# Corruption may raise the loss of the first epoch a little above that of the untrained network; twice it never does.
_FIRST_EPOCH = 2.0
# A later rise by a tenth of the first epoch's loss undoes what whole epochs gained.
_SETBACK = 0.1


_CLASSIFICATION = "valid/classification_error"


class Fault(StrEnum):
    """What can be wrong with a training."""

    LEARNING_RATE = "learning rate too high"
    HARDLY_VARIES = "no better than the mean: the features hardly vary"
    COLLAPSED = "collapsed to the mean"
    COLUMN_MEAN = "output is the column mean"
    HARDLY_TRAINED = "hardly trained: no better than the mean"
    PENALTY = "penalty dominates the loss"
    DEAD = "dead units"
    SATURATED = "saturated units"
    WORSE_THAN_PCA = "worse than PCA of the same size"
    COPIED = "identity copied"
    FOLLOWS_MEAN = "filters follow the data's mean"
    OVERFITTING = "over-fitting"
    STILL_IMPROVING = "still improving when it stopped"


@dataclass(frozen=True)
class Finding:
    """One fault, the numbers that show it, and one sentence that names the setting to change."""

    name: Fault
    evidence: Mapping[str, float]
    advice: str

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())
        return f"{self.name} ({numbers}). {self.advice}"


def diagnose(evidence: Evidence) -> list[Finding]:
    """Say what is wrong with a training, gravest first; nothing found is an empty list.

    A consequence is not reported beside its cause: outputs that are the mean because the features hardly vary are not
    called collapsed, and nothing that explains so little is compared with PCA.
    """
    return list(chain.from_iterable(rule(evidence) for rule in _RULES))


def _learning_rate(evidence: Evidence) -> Iterator[Finding]:
    losses, settings = evidence.values("train/loss"), evidence.settings
    advice = f"Lower {settings.rate_setting}, now {settings.learning_rate:g}, by a factor of 3 to 10."
    broken = [epoch for epoch, metrics in evidence.history if not all(map(math.isfinite, metrics.values()))]
    if broken:
        yield Finding(Fault.LEARNING_RATE, {"first epoch that is not finite": broken[0]}, advice)
    elif losses:
        setback = float(np.max(np.array(losses) - np.minimum.accumulate(losses))) / max(abs(losses[0]), 1e-300)
        first = losses[0] / evidence.first_loss.total if evidence.first_loss and evidence.first_loss.total > 0 else 0.0
        if first > _FIRST_EPOCH or setback > _SETBACK:
            numbers = {"loss of the first epoch over the untrained": first, "largest rise over the first loss": setback}
            yield Finding(Fault.LEARNING_RATE, numbers, advice)


def _hardly_varies(evidence: Evidence) -> Iterator[Finding]:
    if _features_hardly_vary(evidence):
        ratio = math.sqrt(evidence.references.mean_mse / _squared_mean(evidence))
        yield Finding(
            Fault.HARDLY_VARIES,
            {"r2": _r2(evidence), "standard deviation over mean": ratio},
            "Standardise: set model.standardize to sample, because what varies is far too small beside the mean for "
            "the loss to show it.",
        )


def _collapsed(evidence: Evidence) -> Iterator[Finding]:
    if not _answers_the_mean(evidence) or _features_hardly_vary(evidence):
        return
    numbers = {"r2": _r2(evidence), "spread of the output over that of the input": _spread(evidence)}
    share = _largest_penalty_share(evidence)
    if share > _COLLAPSING_PENALTY:
        names = " and ".join(evidence.settings.penalties) or "the penalties"
        yield Finding(Fault.COLLAPSED, {**numbers, "penalty share": share}, f"Lower {names} by a factor of 10 or more.")
    elif dead := _layer_with_dead_units(evidence):
        yield Finding(Fault.COLUMN_MEAN, numbers, _revival(dead, evidence.settings))
    else:
        yield Finding(
            Fault.COLUMN_MEAN,
            numbers,
            "Raise training.epochs or training.learning_rate until the output follows the input; where that changes "
            "nothing, check that the gradient is taken from every row of a batch.",
        )


def _hardly_trained(evidence: Evidence) -> Iterator[Finding]:
    """Outputs that are not the mean, yet no nearer to samples, seen or unseen, than it is: the start still shows."""
    spread, unseen = _spread(evidence), _r2(evidence)
    seen = unseen if evidence.train_mse is None else r2(evidence.train_mse, evidence.references)
    if math.isnan(spread) or not (seen < _HARDLY_ANY and unseen < _HARDLY_ANY) or _answers_the_mean(evidence):
        return
    if _features_hardly_vary(evidence) or any(_learning_rate(evidence)):
        return
    settings = evidence.settings
    if evidence.last_loss and evidence.last_loss.penalty_share > _HARDLY_ANY:
        advice = f"Lower {' or '.join(settings.penalties) or 'the penalties'} by a factor of 10 or more."
    else:
        advice = f"Raise training.learning_rate, now {settings.learning_rate:g}, or training.epochs."
    yield Finding(Fault.HARDLY_TRAINED, {"r2": unseen, "spread of the output over that of the input": spread}, advice)


def _penalty(evidence: Evidence) -> Iterator[Finding]:
    """A penalty that has won may have shrunk to nothing: a collapsed network is judged by its beginning too."""
    share = _largest_penalty_share(evidence)
    if not _answers_the_mean(evidence):
        share = evidence.last_loss.penalty_share if evidence.last_loss else 0.0
    if share > _DOMINANT_PENALTY:
        names = " or ".join(evidence.settings.penalties) or "the penalties"
        explained = {} if math.isnan(_last(evidence)) else {"r2": _r2(evidence)}  # a classifier's is not measured
        yield Finding(
            Fault.PENALTY,
            {"penalty share": share, **explained},
            f"Lower {names}, or set model.penalty_reduction to mean if it is sum.",
        )


def _idle_units(evidence: Evidence) -> Iterator[Finding]:
    for number, layer in enumerate(evidence.layers, start=1):
        place = {"layer": float(number)} if len(evidence.layers) > 1 else {}
        if layer.dead_share > _IDLE_UNITS:
            yield Finding(Fault.DEAD, {"share": layer.dead_share, **place}, _revival(layer, evidence.settings))
        if layer.saturated_share > _IDLE_UNITS:
            yield Finding(Fault.SATURATED, {"share": layer.saturated_share, **place}, _desaturation(layer.settings))


def _revival(layer: LayerStatistics, settings: Settings) -> str:
    first = "Lower model.hidden_l1" if settings.hidden_l1 > 0 else "Lower training.learning_rate"
    is_relu = layer.settings.activation == "relu"
    return f"{first} or {f'set {layer.settings.setting} to elu' if is_relu else f'reduce {settings.size_setting}'}."


def _desaturation(layer: LayerSettings) -> str:
    """Another activation only where it has a slope on the side on which this one has none, and may be set."""
    if layer.cures and layer.activation not in layer.cures:
        first = f"Set {layer.setting} to {' or '.join(layer.cures)} in place of {layer.activation}, or raise"
    else:
        first = "Lower training.learning_rate or raise"
    return f"{first} model.weight_l2 so that sums stay where the activation has a slope."


def _worse_than_pca(evidence: Evidence) -> Iterator[Finding]:
    settings, mse = evidence.settings, _last(evidence)
    ratio = mse_over_pca(mse, settings.code_size, evidence.references)
    if ratio is None or not ratio > _WORSE_THAN_PCA or _r2(evidence) < _HARDLY_ANY:
        return
    if evidence.last_loss and evidence.last_loss.penalty_share > _HARDLY_ANY:
        advice = f"Lower {' or '.join(settings.penalties) or 'the penalties'}: reconstruction pays for them."
    elif _layer_with_dead_units(evidence):
        advice = f"Revive the dead units first: until then the code is smaller than {settings.size_setting} says."
    elif any(_still_improving(evidence)):
        advice = "Raise training.epochs: it was still improving."
    elif settings.noise_level > 0:
        advice = f"Lower model.noise.level, now {settings.noise_level:g}, if clean reconstruction is what you want."
    else:
        advice = f"Try another training.learning_rate, now {settings.learning_rate:g}, or model.activation."
    yield Finding(Fault.WORSE_THAN_PCA, {"mse over PCA": ratio, "r2": _r2(evidence)}, advice)


def _copied(evidence: Evidence) -> Iterator[Finding]:
    settings, n_features = evidence.settings, evidence.references.n_features
    size = n_features if settings.code_size is None else settings.code_size
    free = size >= n_features and settings.noise_level == 0 and not settings.penalties
    if free and _r2(evidence) > _COPIED_R2:
        narrower = f"Lower {settings.size_setting} below {n_features}"
        if settings.code_size is None:
            narrower = f"Set {settings.size_setting} to shallow, with a model.hidden_size below {n_features}"
        dearer = "model.hidden_l1" if settings.is_stacked else "model.noise.level or model.hidden_l1"
        yield Finding(
            Fault.COPIED,
            {"code size": size, "features": n_features, "r2": _r2(evidence)},
            f"{narrower}, or raise {dearer}, so that copying is no longer the cheapest answer.",
        )


def _follows_mean(evidence: Evidence) -> Iterator[Finding]:
    """Filters that look like the data's mean, or that are strong, with either sign, where the mean is large."""
    if evidence.filters is None or evidence.column_mean is None or evidence.settings.code_size is None:
        return
    filters, mean = evidence.filters, evidence.column_mean
    if evidence.layers:  # what has killed a unit shows in its filter, often as the mean with a minus sign
        filters = filters[~evidence.layers[0].dead]
    cosine = _median(np.abs(_cosines(filters, mean)))
    correlation = _median(_cosines(_centred(np.abs(filters)), _centred(mean)))
    if len(mean) >= _MIN_FEATURES_TO_FOLLOW and max(cosine, correlation) > _FOLLOWS_MEAN:
        yield Finding(
            Fault.FOLLOWS_MEAN,
            {"cosine with the mean": cosine, "correlation of the filters' strength with the mean": correlation},
            f"Raise {evidence.settings.size_setting}, now {evidence.settings.code_size}, together with model.hidden_l1 "
            "and model.weight_l1, so that a unit can afford to stand for a part of the image.",
        )


def _centred(values: Array) -> Array:
    """Less their mean over the features (..., features); 0 where nothing but rounding is left."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return np.where(np.abs(centred) > _ROUNDING * np.abs(values).max(axis=-1, keepdims=True), centred, 0.0)


def _cosines(filters: Array, direction: Array) -> Array:
    """Of the angles between `direction` and those filters (units, features) that are not 0."""
    lengths = np.linalg.norm(filters, axis=1) * np.linalg.norm(direction)
    cosines: Array = (filters @ direction)[lengths > 0] / lengths[lengths > 0]
    return cosines


def _median(values: Array) -> float:
    return float(np.median(values)) if values.size else 0.0


def _overfitting(evidence: Evidence) -> Iterator[Finding]:
    if _answers_the_mean(evidence):  # what answers the mean has learnt no sample by heart
        return
    errors, losses = evidence.beside_losses(_watched(evidence))
    rise = errors[-1] / min(errors) if errors and min(errors) > 0 else 1.0
    fell = bool(losses) and losses[-1] < losses[int(np.argmin(errors))]
    numbers = {"error over its best": rise}
    large = rise > _RISE and fell and errors[-1] - min(errors) > _by_chance(evidence, min(errors))
    if evidence.train_mse is not None and evidence.train_mse > 0:
        unseen = _last(evidence)
        numbers["valid mse over train mse"] = unseen / evidence.train_mse
        of_variance = (unseen - evidence.train_mse) / max(evidence.references.mean_mse, 1e-300)
        # Where seen samples do as badly, as they do where they are the ones validated on, the steps are restless.
        large &= unseen > _RISE * evidence.train_mse
        large |= unseen > _GAP * evidence.train_mse and of_variance > _GAP_OF_VARIANCE
    if large:
        yield Finding(
            Fault.OVERFITTING,
            numbers,
            f"Train on more samples (data.n_train), lower {evidence.settings.size_setting} or training.epochs, or "
            "raise model.weight_l2 or model.noise.level.",
        )


def _still_improving(evidence: Evidence) -> Iterator[Finding]:
    """By the gain over the last tenth of the epochs, or from the validation before: few may be validated."""
    curve = evidence.curve(_watched(evidence))
    errors = [error for _, error in curve]
    if len(errors) < 3 or errors[-1] != min(errors):
        return
    epoch, before = curve[-1 - max(1, len(curve) // 10)]
    n_epochs = curve[-1][0] - evidence.history[0][0] + 1  # a stack's pre-training was counted before
    span = curve[-1][0] - epoch
    tenths = max(1.0, 10 * span / n_epochs)
    gain = before - errors[-1]
    least = _by_chance(evidence, before) or tenths * _OF_VARIANCE_A_TENTH * evidence.references.mean_mse
    if gain > tenths * _GAIN_A_TENTH * before and gain > least:
        numbers = {"share of the error gained at the end": gain / before, "in epochs": span, "of": n_epochs}
        yield Finding(Fault.STILL_IMPROVING, numbers, "Raise training.epochs, twofold to begin with.")


_RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    _learning_rate,
    _hardly_varies,
    _collapsed,
    _hardly_trained,
    _penalty,
    _idle_units,
    _worse_than_pca,
    _copied,
    _follows_mean,
    _overfitting,
    _still_improving,
)


def _last(evidence: Evidence) -> float:
    """Validation error at the end; NaN, for which every comparison is false, where there is none."""
    return (evidence.values("valid/mse") or [math.nan])[-1]


def _r2(evidence: Evidence) -> float:
    return r2(_last(evidence), evidence.references)


def _watched(evidence: Evidence) -> str:
    """What training lowers: a denoiser's error on clean input may well rise while it learns, a classifier's will."""
    if evidence.values(_CLASSIFICATION):
        return _CLASSIFICATION
    noisy = evidence.settings.noise_level > 0 and bool(evidence.values("valid/denoise_mse"))
    return "valid/denoise_mse" if noisy else "valid/mse"


def _by_chance(evidence: Evidence, error: float) -> float:
    """How far a share of wrong answers may move by chance; 0 for an error that is no such share."""
    if _watched(evidence) != _CLASSIFICATION:
        return 0.0
    if evidence.n_valid is None:
        return math.inf
    return _STANDARD_ERRORS * math.sqrt(error * (1 - error) / evidence.n_valid)


def _squared_mean(evidence: Evidence) -> float:
    return 0.0 if evidence.column_mean is None else float(np.mean(np.square(evidence.column_mean, dtype=np.float64)))


def _features_hardly_vary(evidence: Evidence) -> bool:
    tiny = evidence.references.mean_mse < _VARIANCE_OVER_SQUARED_MEAN * _squared_mean(evidence)
    return tiny and _r2(evidence) < _HARDLY_ANY


def _spread(evidence: Evidence) -> float:
    """Variance of the outputs over samples, relative to that of the inputs; NaN where it was not collected."""
    if evidence.originals is None or evidence.reconstructions is None:
        return math.nan
    varies = float(np.var(evidence.originals, axis=0, dtype=np.float64).sum())
    return float(np.var(evidence.reconstructions, axis=0, dtype=np.float64).sum()) / varies if varies > 0 else math.nan


def _answers_the_mean(evidence: Evidence) -> bool:
    """Whether the output is nearly the same for every sample, and that not far from the mean."""
    return _FAR_FROM_MEAN < _r2(evidence) < _HARDLY_ANY and _spread(evidence) < _HARDLY_ANY


def _largest_penalty_share(evidence: Evidence) -> float:
    return max((terms.penalty_share for terms in (evidence.first_loss, evidence.last_loss) if terms), default=0.0)


def _layer_with_dead_units(evidence: Evidence) -> LayerStatistics | None:
    return next((layer for layer in evidence.layers if layer.dead_share > _IDLE_UNITS), None)

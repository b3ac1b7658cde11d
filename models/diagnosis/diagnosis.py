"""Diagnose why an autoencoder did not learn: from the evidence of a training to findings with advice."""

import math
from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from sweeps.models.diagnosis.evidence import Array, Evidence, LayerSettings, LayerStatistics, Settings
from sweeps.models.diagnosis.feature_scales import different_scales
from sweeps.models.diagnosis.findings import Finding, FindingName
from sweeps.models.diagnosis.learning_curves import learning_rate_too_high, overfitting, still_improving
from sweeps.models.diagnosis.symptoms import (
    HARDLY_ANY,
    IDLE_UNITS,
    answers_the_mean,
    features_hardly_vary,
    largest_penalty_share,
    last_mse,
    last_r2,
    layer_with_dead_units,
    relative_spread,
    squared_mean,
)
from sweeps.models.metrics import mse_over_pca, r2

# Fully trained linear autoencoders came within 1 % of PCA on 60,000 samples and 3 % on 1,400: 5 % is not chance.
_WORSE_THAN_PCA = 1.05
# Above one half, an optimizer step lowers the penalty more than the reconstruction error.
_DOMINANT_PENALTY = 0.5
# If the output is the mean, a tenth suffices: most of an untrained loss is the mean, which biases fit at no penalty.
_COLLAPSING_PENALTY = 0.1
# Without a bottleneck or noise, 95 % explained variance is copying: most bottlenecks let less through.
_COPIED_R2 = 0.95
# At a cosine of 0.5, a quarter of a filter's energy lies along the mean. At a correlation of 0.5, the mean explains a
# quarter of the variance of a filter's strength over the features. Measured: 0.53 to 0.58 for nine units on a stripe of
# blobs; 0.16 for 64 units with penalties, which learn single blobs; 0.09 for nine units on digits.
_FOLLOWS_MEAN = 0.5
# By chance both are about 1 / sqrt(features): three times that must stay below the threshold.
_MIN_FEATURES_TO_FOLLOW = 36
# Relative, of float32.
_ROUNDING = 1e-6


def diagnose(evidence: Evidence) -> list[Finding]:
    """Return the findings of a training, most serious first; an empty list if there are none.

    A consequence is not reported in addition to its cause: outputs that are the mean because the features hardly vary
    are not reported as collapsed, and a network that explains next to nothing is not compared with PCA. If the features
    have very different scales, every other rule judges the largest of them only, so that is the only finding.
    """
    return list(different_scales(evidence)) or list(chain.from_iterable(rule(evidence) for rule in _RULES))


def _hardly_varies(evidence: Evidence) -> Iterator[Finding]:
    if features_hardly_vary(evidence):
        ratio = math.sqrt(evidence.references.mean_mse / squared_mean(evidence))
        yield Finding(
            FindingName.HARDLY_VARIES,
            {"r2": last_r2(evidence), "standard deviation over mean": ratio},
            "Set model.standardize to sample: the variance is far too small relative to the mean to show in the loss.",
        )


def _collapsed(evidence: Evidence) -> Iterator[Finding]:
    if not answers_the_mean(evidence) or features_hardly_vary(evidence):
        return
    numbers = {"r2": last_r2(evidence), "spread of the output over that of the input": relative_spread(evidence)}
    share = largest_penalty_share(evidence)
    if share > _COLLAPSING_PENALTY:
        names = " and ".join(evidence.settings.penalties) or "the penalties"
        yield Finding(
            FindingName.COLLAPSED, {**numbers, "penalty share": share}, f"Lower {names} by a factor of 10 or more."
        )
    elif dead := layer_with_dead_units(evidence):
        yield Finding(FindingName.COLUMN_MEAN, numbers, _revival(dead, evidence.settings))
    else:
        yield Finding(
            FindingName.COLUMN_MEAN,
            numbers,
            "Raise training.epochs or training.learning_rate until the output follows the input; if that changes "
            "nothing, check that the gradient uses every row of a batch.",
        )


def _hardly_trained(evidence: Evidence) -> Iterator[Finding]:
    """Find outputs that are not the mean, but no closer to training and validation samples than the mean is."""
    spread, unseen = relative_spread(evidence), last_r2(evidence)
    seen = unseen if evidence.train_mse is None else r2(evidence.train_mse, evidence.references)
    if math.isnan(spread) or not (seen < HARDLY_ANY and unseen < HARDLY_ANY) or answers_the_mean(evidence):
        return
    if features_hardly_vary(evidence) or any(learning_rate_too_high(evidence)):
        return
    settings = evidence.settings
    if evidence.last_loss and evidence.last_loss.penalty_share > HARDLY_ANY:
        advice = f"Lower {' or '.join(settings.penalties) or 'the penalties'} by a factor of 10 or more."
    else:
        advice = f"Raise training.learning_rate, now {settings.learning_rate:g}, or training.epochs."
    yield Finding(
        FindingName.HARDLY_TRAINED, {"r2": unseen, "spread of the output over that of the input": spread}, advice
    )


def _penalty(evidence: Evidence) -> Iterator[Finding]:
    """Find a penalty that dominates the loss; in a collapsed network, where it may be 0 by now, also at the start."""
    share = largest_penalty_share(evidence)
    if not answers_the_mean(evidence):
        share = evidence.last_loss.penalty_share if evidence.last_loss else 0.0
    if share > _DOMINANT_PENALTY:
        names = " or ".join(evidence.settings.penalties) or "the penalties"
        # Not measured for a classifier.
        explained = {} if math.isnan(last_mse(evidence)) else {"r2": last_r2(evidence)}
        yield Finding(
            FindingName.PENALTY,
            {"penalty share": share, **explained},
            f"Lower {names}, or set model.penalty_reduction to mean if it is sum.",
        )


def _idle_units(evidence: Evidence) -> Iterator[Finding]:
    for number, layer in enumerate(evidence.layers, start=1):
        place = {"layer": float(number)} if len(evidence.layers) > 1 else {}
        if layer.dead_share > IDLE_UNITS:
            yield Finding(FindingName.DEAD, {"share": layer.dead_share, **place}, _revival(layer, evidence.settings))
        if layer.saturated_share > IDLE_UNITS:
            yield Finding(
                FindingName.SATURATED, {"share": layer.saturated_share, **place}, _desaturation(layer.settings)
            )


def _revival(layer: LayerStatistics, settings: Settings) -> str:
    first = "Lower model.hidden_l1" if settings.hidden_l1 > 0 else "Lower training.learning_rate"
    is_relu = layer.settings.activation == "relu"
    return f"{first} or {f'set {layer.settings.setting} to elu' if is_relu else f'reduce {settings.size_setting}'}."


def _desaturation(layer: LayerSettings) -> str:
    """Advise another activation only if one that cannot saturate is allowed."""
    if layer.cures and layer.activation not in layer.cures:
        first = f"Set {layer.setting} to {' or '.join(layer.cures)} in place of {layer.activation}, or raise"
    else:
        first = "Lower training.learning_rate or raise"
    return f"{first} model.weight_l2 so that sums stay where the activation has a slope."


def _worse_than_pca(evidence: Evidence) -> Iterator[Finding]:
    settings, mse = evidence.settings, last_mse(evidence)
    ratio = mse_over_pca(mse, settings.code_size, evidence.references)
    if ratio is None or not ratio > _WORSE_THAN_PCA or last_r2(evidence) < HARDLY_ANY:
        return
    if evidence.last_loss and evidence.last_loss.penalty_share > HARDLY_ANY:
        advice = f"Lower {' or '.join(settings.penalties) or 'the penalties'}: they raise the reconstruction error."
    elif layer_with_dead_units(evidence):
        advice = f"Revive the dead units first: until then the code is smaller than {settings.size_setting} says."
    elif any(still_improving(evidence)):
        advice = "Raise training.epochs: it was still improving."
    elif settings.noise_level > 0:
        advice = f"Lower model.noise.level, now {settings.noise_level:g}, if clean reconstruction is what you want."
    else:
        advice = f"Try another training.learning_rate, now {settings.learning_rate:g}, or model.activation."
    yield Finding(FindingName.WORSE_THAN_PCA, {"mse over PCA": ratio, "r2": last_r2(evidence)}, advice)


def _copied(evidence: Evidence) -> Iterator[Finding]:
    settings, n_features = evidence.settings, evidence.references.n_features
    size = n_features if settings.code_size is None else settings.code_size
    free = size >= n_features and settings.noise_level == 0 and not settings.penalties
    if free and last_r2(evidence) > _COPIED_R2:
        narrower = f"Lower {settings.size_setting} below {n_features}"
        if settings.code_size is None:
            narrower = f"Set {settings.size_setting} to shallow, with a model.hidden_size below {n_features}"
        dearer = "model.noise.level or model.hidden_l1" if settings.denoises else "model.hidden_l1"
        yield Finding(
            FindingName.COPIED,
            {"code size": size, "features": n_features, "r2": last_r2(evidence)},
            f"{narrower}, or raise {dearer}, so that copying is no longer the best solution.",
        )


def _follows_mean(evidence: Evidence) -> Iterator[Finding]:
    """Find filters that look like the mean of the data, or whose absolute weights are large where the mean is large."""
    if evidence.filters is None or evidence.column_mean is None or evidence.settings.code_size is None:
        return
    filters, mean = evidence.filters, evidence.column_mean
    if evidence.layers:  # the filters of dead units often look like minus the mean
        filters = filters[~evidence.layers[0].dead]
    cosine = _median(np.abs(_cosines(filters, mean)))
    correlation = _median(_cosines(_centred(np.abs(filters)), _centred(mean)))
    if len(mean) >= _MIN_FEATURES_TO_FOLLOW and max(cosine, correlation) > _FOLLOWS_MEAN:
        yield Finding(
            FindingName.FOLLOWS_MEAN,
            {"cosine with the mean": cosine, "correlation of the filters' strength with the mean": correlation},
            f"Raise {evidence.settings.size_setting}, now {evidence.settings.code_size}, together with model.hidden_l1 "
            "and model.weight_l1, so that a unit can represent a part of the image.",
        )


def _centred(values: Array) -> Array:
    """Return values (..., features) minus their mean over the features; 0 where only rounding remains."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return np.where(np.abs(centred) > _ROUNDING * np.abs(values).max(axis=-1, keepdims=True), centred, 0.0)


def _cosines(filters: Array, direction: Array) -> Array:
    """Return the cosines between `direction` and the filters (units, features) that are not 0."""
    lengths = np.linalg.norm(filters, axis=1) * np.linalg.norm(direction)
    cosines: Array = (filters @ direction)[lengths > 0] / lengths[lengths > 0]
    return cosines


def _median(values: Array) -> float:
    return float(np.median(values)) if values.size else 0.0


_RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    learning_rate_too_high,
    _hardly_varies,
    _collapsed,
    _hardly_trained,
    _penalty,
    _idle_units,
    _worse_than_pca,
    _copied,
    _follows_mean,
    overfitting,
    still_improving,
)

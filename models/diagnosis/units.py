"""What the hidden units of a network show: dead and saturated ones, and filters that follow the mean of the data."""

from collections.abc import Iterator

import numpy as np

from sweeps.models.diagnosis.changes import desaturate, resize, revive
from sweeps.models.diagnosis.evidence import Array, Evidence, LayerStatistics
from sweeps.models.diagnosis.findings import Change, Finding, FindingName
from sweeps.models.diagnosis.symptoms import IDLE_UNITS, answers_the_mean, falls_short

# Healthy networks of rectified units lost up to 38 % of them, most of all those with more units than features.
_MOST_UNITS = 0.5
# At a cosine of 0.5, a quarter of a filter's energy lies along the mean. At a correlation of 0.5, the mean explains a
# quarter of the variance of a filter's strength over the features. Measured: 0.53 to 0.58 for nine units on a stripe of
# blobs; 0.16 for 64 units with penalties, which learn single blobs; 0.09 for nine units on digits.
_FOLLOWS_MEAN = 0.5
# By chance both are about 1 / sqrt(features): three times that must stay below the threshold.
_MIN_FEATURES_TO_FOLLOW = 36
# Nine units that follow the mean were cured by seven times as many with light penalties.
_WIDER, _LIGHT_PENALTY = 7, 1e-3
# Relative, of float32.
_ROUNDING = 1e-6


def dead_units(evidence: Evidence) -> Iterator[Finding]:
    """Find the layer with the most constant units; harmless if most units live and the network does what it can."""
    layer, number = _worst(evidence, [layer.dead_share for layer in evidence.layers])
    if layer is None or layer.dead_share <= IDLE_UNITS:
        return
    harmless = layer.dead_share <= _MOST_UNITS and not falls_short(evidence)
    yield Finding.advising(
        FindingName.DEAD,
        {"share": layer.dead_share, **number},
        revive(layer, evidence),
        "a dead unit has the same output for every sample, and no gradient",
        harmless=harmless,
    )


def saturated_units(evidence: Evidence) -> Iterator[Finding]:
    """Find the layer with the most units stuck where their activation is flat.

    A unit that answers to few samples is flat for all others: healthy networks have such units, in ELU layers most. So
    saturation does harm only in a network that reconstructs far worse than its size allows.
    """
    layer, number = _worst(evidence, [layer.saturated_share for layer in evidence.layers])
    if layer is None or layer.saturated_share <= IDLE_UNITS:
        return
    yield Finding.advising(
        FindingName.SATURATED,
        {"share": layer.saturated_share, **number},
        desaturate(layer, evidence),
        "a unit learns only where its activation has a slope",
        harmless=not falls_short(evidence),
    )


def follows_mean(evidence: Evidence) -> Iterator[Finding]:
    """Find filters that look like the mean of the data, or whose absolute weights are large where the mean is large."""
    size = evidence.settings.code_size
    if evidence.filters is None or evidence.column_mean is None or size is None or answers_the_mean(evidence):
        return
    filters, mean = evidence.filters, evidence.column_mean
    if evidence.layers:  # the filters of dead units often look like minus the mean
        filters = filters[~evidence.layers[0].dead]
    cosine = _median(np.abs(_cosines(filters, mean)))
    correlation = _median(_cosines(_centred(np.abs(filters)), _centred(mean)))
    if len(mean) >= _MIN_FEATURES_TO_FOLLOW and max(cosine, correlation) > _FOLLOWS_MEAN:
        yield Finding.advising(
            FindingName.FOLLOWS_MEAN,
            {"cosine with the mean": cosine, "correlation of the filters' strength with the mean": correlation},
            _more_units(evidence, size),
            "with more units, of which few answer at once, a unit can represent a part of the image",
            harmless=len(evidence.layers) > 1,  # the layers above can still tell the parts from each other
        )


def _more_units(evidence: Evidence, size: int) -> tuple[Change, ...]:
    settings = evidence.settings
    width = resize(settings, _WIDER * size)
    now = {"model.hidden_l1": settings.hidden_l1, "model.weight_l1": settings.weight_l1}
    return (*width, *(Change(path, value, _LIGHT_PENALTY) for path, value in now.items() if value < _LIGHT_PENALTY))


def _worst(evidence: Evidence, shares: list[float]) -> tuple[LayerStatistics | None, dict[str, float]]:
    """Return the layer with the largest share, and its number if there are several layers."""
    if not shares:
        return None, {}
    index = int(np.argmax(shares))
    return evidence.layers[index], {"layer": index + 1.0} if len(shares) > 1 else {}


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

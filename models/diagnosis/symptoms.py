"""Symptoms that several rules of a diagnosis use: how good the outputs are, and whether they are the mean."""

import math

import numpy as np

from sweeps.models.diagnosis.evidence import Evidence, LayerStatistics
from sweeps.models.metrics import r2

# Less than a tenth of the variance explained, or less than a tenth of the spread of the inputs: nearly a constant.
HARDLY_ANY = 0.1
# Twice the error of the mean predictor: a constant output that far off is not the mean.
_FAR_FROM_MEAN = -1.0
# Fitting the mean alone then removes 99.9 % of the loss of a zero output: the curve looks converged without learning.
_VARIANCE_OVER_SQUARED_MEAN = 1e-3
# Losing up to one unit in ten costs less than the step from one hidden size of a search to the next.
IDLE_UNITS = 0.1
# The error above that of PCA of the same size, as a share of the variance. Healthy networks without noise and penalties
# stayed below 0.12 and most faulty ones above; noise and penalties cost healthy ones up to 0.32
# (docs/diagnosis-evidence.md).
_EXCESS, _EXCESS_AT_A_PRICE = 0.15, 0.35
# Without a bottleneck there is no PCA to compare with, and healthy networks explained more than 60 % of the variance.
_EXPLAINED_WITHOUT_BOTTLENECK = 0.5


def last_mse(evidence: Evidence) -> float:
    """Return the last validation error; NaN, for which every comparison is false, if there is none."""
    return (evidence.values("valid/mse") or [math.nan])[-1]


def last_r2(evidence: Evidence) -> float:
    """Return the share of the variance that is explained at the end; NaN if `last_mse` is."""
    return r2(last_mse(evidence), evidence.references)


def excess_over_pca(evidence: Evidence) -> float:
    """Return the error above that of PCA of the same size as a share of the variance; NaN if there is no such PCA."""
    floor = evidence.references.pca(evidence.settings.code_size)
    return math.nan if floor is None else (last_mse(evidence) - floor) / max(evidence.references.mean_mse, 1e-300)


def falls_short(evidence: Evidence) -> bool:
    """Return whether the network reconstructs far worse than its size allows: only then do other symptoms matter."""
    excess = excess_over_pca(evidence)
    if math.isnan(excess):
        return last_r2(evidence) < _EXPLAINED_WITHOUT_BOTTLENECK
    pays = evidence.settings.noise_level > 0 or bool(evidence.settings.penalties)
    return excess > (_EXCESS_AT_A_PRICE if pays else _EXCESS)


def root_mean_square(evidence: Evidence) -> float:
    """Return the size of the inputs: the root of their mean square."""
    return math.sqrt(max(0.0, evidence.references.mean_mse) + squared_mean(evidence))


def squared_mean(evidence: Evidence) -> float:
    """Return the squared mean of the inputs, averaged over the features; 0 if it was not collected."""
    return 0.0 if evidence.column_mean is None else float(np.mean(np.square(evidence.column_mean, dtype=np.float64)))


def features_hardly_vary(evidence: Evidence) -> bool:
    """Return whether the variance is tiny relative to the mean, and next to nothing of it is explained."""
    tiny = evidence.references.mean_mse < _VARIANCE_OVER_SQUARED_MEAN * squared_mean(evidence)
    return tiny and last_r2(evidence) < HARDLY_ANY


def relative_spread(evidence: Evidence) -> float:
    """Return the variance of the outputs over samples, relative to that of the inputs; NaN if not collected."""
    if evidence.originals is None or evidence.reconstructions is None:
        return math.nan
    varies = float(np.var(evidence.originals, axis=0, dtype=np.float64).sum())
    return float(np.var(evidence.reconstructions, axis=0, dtype=np.float64).sum()) / varies if varies > 0 else math.nan


def answers_the_mean(evidence: Evidence) -> bool:
    """Return whether the output is nearly the same for every sample, and close to the mean."""
    return _FAR_FROM_MEAN < last_r2(evidence) < HARDLY_ANY and relative_spread(evidence) < HARDLY_ANY


def largest_penalty_share(evidence: Evidence) -> float:
    """Return the penalties' share of the loss, from 0 to 1, before the first or after the last step: the larger one."""
    return max((terms.penalty_share for terms in (evidence.first_loss, evidence.last_loss) if terms), default=0.0)


def penalty_share(evidence: Evidence) -> float:
    """Return the penalties' share of the loss after the last step, from 0 to 1."""
    return evidence.last_loss.penalty_share if evidence.last_loss else 0.0


def layer_with_dead_units(evidence: Evidence) -> LayerStatistics | None:
    """Return the first hidden layer with more than a tenth of its units dead, or None."""
    return next((layer for layer in evidence.layers if layer.dead_share > IDLE_UNITS), None)

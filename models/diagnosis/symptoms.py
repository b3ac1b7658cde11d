"""What several rules of a diagnosis ask of the evidence: how good the outputs are, and whether they are the mean."""

import math

import numpy as np

from sweeps.models.diagnosis.evidence import Evidence, LayerStatistics
from sweeps.models.metrics import r2

# Less than a tenth of the variance explained, by outputs that spread a tenth as much as the inputs: nearly a constant.
HARDLY_ANY = 0.1
# Twice the error of the mean: what answers a constant that far off has yet to find the mean.
_FAR_FROM_MEAN = -1.0
# Fitting the mean alone then takes 99.9 % off the loss of a zero output: the curve looks done and nothing is learnt.
_VARIANCE_OVER_SQUARED_MEAN = 1e-3
# Up to one unit in ten idle costs less than the step from one hidden size of a search to the next.
IDLE_UNITS = 0.1


def last_mse(evidence: Evidence) -> float:
    """Validation error at the end; NaN, for which every comparison is false, where there is none."""
    return (evidence.values("valid/mse") or [math.nan])[-1]


def last_r2(evidence: Evidence) -> float:
    """The share of the variance that is explained at the end; NaN where `last_mse` is."""
    return r2(last_mse(evidence), evidence.references)


def squared_mean(evidence: Evidence) -> float:
    """The squared mean of the inputs, averaged over the features; 0 where it was not collected."""
    return 0.0 if evidence.column_mean is None else float(np.mean(np.square(evidence.column_mean, dtype=np.float64)))


def features_hardly_vary(evidence: Evidence) -> bool:
    """Whether next to nothing is explained of a variance that is tiny beside the mean."""
    tiny = evidence.references.mean_mse < _VARIANCE_OVER_SQUARED_MEAN * squared_mean(evidence)
    return tiny and last_r2(evidence) < HARDLY_ANY


def relative_spread(evidence: Evidence) -> float:
    """Variance of the outputs over samples, relative to that of the inputs; NaN where it was not collected."""
    if evidence.originals is None or evidence.reconstructions is None:
        return math.nan
    varies = float(np.var(evidence.originals, axis=0, dtype=np.float64).sum())
    return float(np.var(evidence.reconstructions, axis=0, dtype=np.float64).sum()) / varies if varies > 0 else math.nan


def answers_the_mean(evidence: Evidence) -> bool:
    """Whether the output is nearly the same for every sample, and that not far from the mean."""
    return _FAR_FROM_MEAN < last_r2(evidence) < HARDLY_ANY and relative_spread(evidence) < HARDLY_ANY


def largest_penalty_share(evidence: Evidence) -> float:
    """The penalties' part of the loss, from 0 to 1, before the first step or after the last, whichever is larger."""
    return max((terms.penalty_share for terms in (evidence.first_loss, evidence.last_loss) if terms), default=0.0)


def layer_with_dead_units(evidence: Evidence) -> LayerStatistics | None:
    """The first hidden layer with more dead units than may be idle; None where there is none."""
    return next((layer for layer in evidence.layers if layer.dead_share > IDLE_UNITS), None)

"""Whether one of two models is better on the same samples, or whether they tie."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]

_N_RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 100  # 8 MB of indices each, for 10,000 samples


class GateOutcome(StrEnum):
    """The outcome of a gate. After a failure or a tie the champion stays."""

    PASSED = "passed"
    FAILED = "failed"
    TIE = "tie"
    NOT_APPLICABLE = "not applicable"


_WORDS = {GateOutcome.PASSED: "better than", GateOutcome.FAILED: "worse than", GateOutcome.TIE: "a tie with"}


@dataclass(frozen=True)
class Comparison:
    """Mean losses on the same samples, and the `confidence` interval of the mean difference, `low` to `high`.

    A negative `difference` (challenger - other) means that the challenger is better. `low` and `high` are NaN if a loss
    is not finite.
    """

    challenger: float
    other: float
    low: float
    high: float
    confidence: float

    @property
    def difference(self) -> float:
        """The mean difference, challenger - other."""
        return self.challenger - self.other

    @property
    def outcome(self) -> GateOutcome:
        """PASSED if the whole interval lies below 0, FAILED if it lies above 0, else a TIE."""
        if self.low > 0 or math.isnan(self.low) or math.isnan(self.high):
            return GateOutcome.FAILED
        return GateOutcome.PASSED if self.high < 0 else GateOutcome.TIE

    @property
    def numbers(self) -> Mapping[str, float]:
        """The numbers to record."""
        names = ("challenger", "other", "difference", "low", "high", "confidence")
        return {name: getattr(self, name) for name in names}

    def describe(self, other: str) -> str:
        """Return the outcome in words, with the means and the interval behind it."""
        interval = f"{self.confidence * 100:g} % interval {self.low:.3g} to {self.high:.3g}"
        means = f"{self.challenger:.4g} against {self.other:.4g}, difference {self.difference:.3g}"
        return f"{_WORDS[self.outcome]} {other}: {means} ({interval})"


def compare(challenger: Losses, other: Losses, confidence: float) -> Comparison:
    """Compare two models by their losses on the same samples, (samples,) each, with a paired bootstrap of the mean.

    The interval is the percentile interval of the mean difference (Efron and Tibshirani 1993, chapter 13), with a fixed
    seed. The interval of a single sample is unbounded: a tie.
    """
    from scipy.stats import bootstrap  # takes most of a second to import

    means = float(np.mean(challenger)), float(np.mean(other))
    if not (np.isfinite(challenger).all() and np.isfinite(other).all()):
        return Comparison(*means, math.nan, math.nan, confidence)
    if len(challenger) < 2:
        return Comparison(*means, -math.inf, math.inf, confidence)
    interval = bootstrap(
        (challenger, other),
        _mean_difference,
        paired=True,
        vectorized=True,
        n_resamples=_N_RESAMPLES,
        batch=_RESAMPLES_AT_ONCE,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Comparison(*means, float(interval.low), float(interval.high), confidence)


def _mean_difference(challenger: NDArray[Any], other: NDArray[Any], axis: int) -> NDArray[Any]:
    difference: NDArray[Any] = np.mean(challenger - other, axis=axis)
    return difference

"""Whether one of two models is better on the same samples, or whether it is a tie."""

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


class Outcome(StrEnum):
    """How a gate is passed, or not: a challenger that failed or tied leaves the champion in its place."""

    PASSED = "passed"
    FAILED = "failed"
    TIE = "tie"
    NOT_APPLICABLE = "not applicable"


_VERDICTS = {Outcome.PASSED: "better than", Outcome.FAILED: "worse than", Outcome.TIE: "a tie with"}


@dataclass(frozen=True)
class Comparison:
    """Mean losses on the same samples, and an interval of `confidence` for the mean of their differences.

    A negative `difference` (challenger - other) speaks for the challenger. `low` and `high` are NaN where a loss is not
    finite.
    """

    challenger: float
    other: float
    low: float
    high: float
    confidence: float

    @property
    def difference(self) -> float:
        """Mean of the differences, sample by sample."""
        return self.challenger - self.other

    @property
    def outcome(self) -> Outcome:
        """Passed where all of the interval lies below 0, failed where all of it lies above, else a tie."""
        if self.low > 0 or math.isnan(self.low) or math.isnan(self.high):
            return Outcome.FAILED
        return Outcome.PASSED if self.high < 0 else Outcome.TIE

    @property
    def numbers(self) -> Mapping[str, float]:
        """What is recorded of it."""
        names = ("challenger", "other", "difference", "low", "high", "confidence")
        return {name: getattr(self, name) for name in names}

    def told(self, other: str) -> str:
        """The verdict in words, with the interval that decides it."""
        interval = f"{self.confidence * 100:g} % interval {self.low:.3g} to {self.high:.3g}"
        means = f"{self.challenger:.4g} against {self.other:.4g}, difference {self.difference:.3g}"
        return f"{_VERDICTS[self.outcome]} {other}: {means} ({interval})"


def compare(challenger: Losses, other: Losses, confidence: float) -> Comparison:
    """Compare two models by their losses on the same samples, (samples,) each: a paired bootstrap of the mean.

    Pairs are resampled, and the interval is that of the percentiles of the mean difference (Efron and Tibshirani 1993,
    chapter 13). The same losses give the same interval. A single sample decides nothing: its interval has no ends.
    """
    from scipy.stats import bootstrap  # most of a second

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

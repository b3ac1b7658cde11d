"""Which trials cannot be told from the leader, by the values of the same validation samples.

Simultaneous confidence intervals of all differences between two trials, by a paired bootstrap of the largest
studentised difference: the comparisons with the best of Hsu (1981, 1996), with the bootstrap's critical value (Romano
and Wolf 2005; Chernozhukov, Chetverikov and Kato 2013) in place of the normal distribution's. All pairs are covered at
once, and so are the differences to whichever trial leads: that it was selected as the best needs no further correction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
# A bootstrap of fewer samples is too coarse for the tail that many comparisons need.
FEWEST_SAMPLES = 20
_N_RESAMPLES = 1000
_RESAMPLES_AT_ONCE = 125
# Float32 rounds a value by up to 6e-8 of it: standard errors below a few times that are rounding.
_ROUNDING = 2e-7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Differences:
    """The mean of each trial minus that of the reference, with simultaneous intervals `low` to `high`: (trials,)."""

    mean: Floats
    low: Floats
    high: Floats

    @property
    def are_ties(self) -> NDArray[np.bool_]:
        """Return for each trial whether its interval contains 0."""
        ties: NDArray[np.bool_] = (self.low <= 0) & (self.high >= 0)
        return ties


def differences(values: ArrayLike, reference: int, confidence: float = CONFIDENCE, seed: int = 0) -> Differences:
    """Return how far each trial is from trial `reference`; `values` are (trials, samples), of the same samples.

    With probability `confidence`, every interval between any two trials contains the true difference. Raises ValueError
    for fewer than `FEWEST_SAMPLES` samples.
    """
    values = np.asarray(values)
    n_trials, n_samples = values.shape
    if n_samples < FEWEST_SAMPLES:
        raise ValueError(f"intervals need at least {FEWEST_SAMPLES} samples, not {n_samples}")
    means = values.mean(axis=1, dtype=np.float64)  # (trials,)
    # Relative to the reference: a sample that is hard for all trials drops out, and float32 is precise enough.
    relative = (values - values[reference]).astype(np.float32)
    relative -= relative.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    errors = _standard_errors(relative, _ROUNDING * np.abs(means).max(initial=0.0))
    critical = 0.0
    if n_trials > 1:
        largest = _largest_differences(_resampled_means(relative, seed), errors)
        critical = float(np.quantile(largest, confidence, method="higher"))
    mean = means - means[reference]
    margin = critical * errors[reference].astype(np.float64)
    margin[reference] = 0.0
    return Differences(mean, mean - margin, mean + margin)


def _standard_errors(relative: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Return the standard error of the mean difference of each pair, (trials, trials), at least `floor`."""
    products = relative @ relative.T  # (trials, trials)
    squares = np.diag(products)
    n_samples = relative.shape[1]
    sums = np.maximum(squares[:, None] + squares[None, :] - 2 * products, 0)
    errors: NDArray[np.float32] = np.sqrt(sums / (n_samples * (n_samples - 1)))
    # The difference of nearly equal products is rounding; a constant difference has no error.
    rounding = np.sqrt(_ROUNDING * (squares[:, None] + squares[None, :]) / (n_samples * (n_samples - 1)))
    smallest = max(floor, float(np.finfo(np.float32).tiny))
    bounded: NDArray[np.float32] = np.maximum(np.maximum(errors, rounding), smallest).astype(np.float32)
    return bounded


def _resampled_means(relative: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the mean of each trial over the same resampled samples, (trials, resamples)."""
    generator = np.random.default_rng(seed)
    n_samples = relative.shape[1]
    parts = []
    for start in range(0, _N_RESAMPLES, _RESAMPLES_AT_ONCE):
        n = min(_RESAMPLES_AT_ONCE, _N_RESAMPLES - start)
        drawn = generator.integers(n_samples, size=(n, n_samples)) + n_samples * np.arange(n)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n * n_samples).reshape(n, n_samples).astype(np.float32)
        parts.append(relative @ (counts.T / n_samples))
    return np.concatenate(parts, axis=1)


def _largest_differences(means: NDArray[np.float32], errors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest absolute difference between two trials in standard errors, (resamples,)."""
    precisions = np.reciprocal(errors)
    largest = [
        _largest_of(np.ascontiguousarray(means[:, start : start + _RESAMPLES_AT_ONCE]), precisions)
        for start in range(0, means.shape[1], _RESAMPLES_AT_ONCE)
    ]
    return np.concatenate(largest)


def _largest_of(means: NDArray[np.float32], precisions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Do so for a few resamples, whose means (trials, resamples) stay in the processor's cache."""
    low, high = np.zeros(means.shape[1], np.float32), np.zeros(means.shape[1], np.float32)
    for trial in range(len(means) - 1):
        gaps = means[trial + 1 :] - means[trial]
        gaps *= precisions[trial, trial + 1 :, None]
        np.maximum(high, gaps.max(axis=0), out=high)
        np.minimum(low, gaps.min(axis=0), out=low)
    return np.maximum(high, -low)

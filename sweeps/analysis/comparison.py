"""Sweeps side by side: the settings in which they differ, and whether one searched better than another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.analysis.importance import Importance, importances_of
from sweeps.errors import InputError
from sweeps.tracking.mlflow.run_metadata import flatten
from sweeps.tracking.results import SweepResult

LEVEL = 0.05
# Names and texts say nothing of how trials were trained.
_LABELS = ("name", "description", "experiment")


@dataclass(frozen=True)
class Distribution:
    """The first objective over the ranked trials of a sweep, at the epochs by which they are ranked.

    `best_trial` is None, and all values NaN, if no trial is ranked.
    """

    sweep: str
    n_ranked: int
    best_trial: str | None
    best: float
    lower_quartile: float
    median: float
    upper_quartile: float
    worst: float


@dataclass(frozen=True)
class Verdict:
    """Whether a trial drawn from `sweep` tends to be better than one drawn from the `first` sweep.

    `probability_better` is the probability that it is, ties counted half: the common language effect size (McGraw and
    Wong 1992). `p_value` is that of the two-sided Mann-Whitney U test, corrected for the number of sweeps compared
    (Holm 1979). Both are NaN where a sweep ranks no trial.
    """

    first: str
    sweep: str
    probability_better: float
    p_value: float

    @property
    def in_words(self) -> str:
        """The verdict in a sentence."""
        if math.isnan(self.p_value):
            return f"{self.sweep} and {self.first} cannot be compared: one of them ranks no trial"
        share = (
            f"a random trial of {self.sweep} beats a random trial of {self.first} with probability "
            f"{self.probability_better:.2f}"
        )
        if self.p_value > LEVEL:
            return f"no significant difference: {share} (p = {self.p_value:.2g})"
        word = "better" if self.probability_better > 0.5 else "worse"
        return f"the trials of {self.sweep} are significantly {word}: {share} (p = {self.p_value:.2g})"


@dataclass(frozen=True)
class Comparison:
    """Sweeps with the same first objective: what differs, their distributions, and each against the first.

    `differing` has, for each setting that differs, its value in each sweep, None where it has its default.
    `importance` is that of the settings that all of them search, over all their trials. `incomparable` says why the
    values cannot be compared; then there are no verdicts and no importance. It is None if they can.
    """

    metric: str
    sweeps: Sequence[str]
    differing: Mapping[str, Sequence[str | None]]
    distributions: Sequence[Distribution]
    verdicts: Sequence[Verdict]
    importance: Importance | None
    incomparable: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; NaN becomes None."""
        plain = asdict(self)
        plain["distributions"] = [_finite(distribution) for distribution in plain["distributions"]]
        plain["verdicts"] = [_finite(asdict(verdict)) | {"verdict": verdict.in_words} for verdict in self.verdicts]
        return plain


def compare(results: Sequence[SweepResult]) -> Comparison:
    """Compare sweeps, each with the first. Raises InputError if their first objectives differ."""
    _check_objectives(results)
    incomparable = _why_incomparable(results)
    return Comparison(
        results[0].objective_metrics[0],
        [result.sweep for result in results],
        differing_settings(results),
        [distribution(result) for result in results],
        [] if incomparable else verdicts(results),
        None if incomparable else importances_of(results),
        incomparable,
    )


def differing_settings(results: Sequence[SweepResult]) -> dict[str, list[str | None]]:
    """Return the settings in which sweeps differ, by their dotted paths, with the value of each sweep as text."""
    flat = [flatten({k: v for k, v in result.config.to_dict().items() if k not in _LABELS}) for result in results]
    paths = dict.fromkeys(path for settings in flat for path in settings)
    return {path: values for path in paths if len(set(values := [settings.get(path) for settings in flat])) > 1}


def distribution(result: SweepResult) -> Distribution:
    """Return the distribution of a sweep's first objective."""
    import numpy as np

    values = _values(result)
    if not values:
        return Distribution(result.sweep, 0, None, *[math.nan] * 5)
    quartiles = [float(value) for value in np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])]
    if result.config.objectives[0].direction == "maximize":
        quartiles.reverse()
    best = _leading(result, quartiles[0])
    return Distribution(result.sweep, len(values), best, *quartiles)


def verdicts(results: Sequence[SweepResult]) -> list[Verdict]:
    """Return the verdict on each sweep but the first, against the first."""
    from scipy.stats import mannwhitneyu  # takes most of a second to import

    first, *others = results
    sign = 1.0 if first.config.objectives[0].direction == "minimize" else -1.0
    mine = [sign * value for value in _values(first)]
    found: list[tuple[float, float]] = []
    for other in others:
        theirs = [sign * value for value in _values(other)]
        if not mine or not theirs:
            found.append((math.nan, math.nan))
            continue
        test = mannwhitneyu(mine, theirs)  # U counts the pairs in which the first is larger, that is worse
        found.append((float(test.statistic) / (len(mine) * len(theirs)), float(test.pvalue)))
    corrected = holm([p_value for _, p_value in found])
    return [
        Verdict(first.sweep, other.sweep, probability, p_value)
        for other, (probability, _), p_value in zip(others, found, corrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the same order; NaN stays, and does not count."""
    known = sorted((value, place) for place, value in enumerate(p_values) if not math.isnan(value))
    corrected, largest = list(p_values), 0.0
    for passed, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - passed)))
        corrected[place] = largest
    return corrected


def _check_objectives(results: Sequence[SweepResult]) -> None:
    objectives = [(result.config.objectives[0].metric, result.config.objectives[0].direction) for result in results]
    if len(set(objectives)) > 1:
        named = "; ".join(f"{result.sweep}: {metric}" for result, (metric, _) in zip(results, objectives, strict=True))
        raise InputError(f"sweeps must have the same first objective to be compared, and have {named}")


def _why_incomparable(results: Sequence[SweepResult]) -> str | None:
    """Return why values of one metric are not comparable: they were measured on other samples."""
    first = results[0]
    others = [result.sweep for result in results[1:] if result.record.dataset != first.record.dataset]
    if not others:
        return None
    return f"{', '.join(others)} measured on other data or another split than {first.sweep}: values are not comparable"


def _values(result: SweepResult) -> list[float]:
    return [trial.metrics[result.objective_metrics[0]] for trial in result.ranking]


def _leading(result: SweepResult, value: float) -> str:
    return next(t.trial for t in result.ranking if t.metrics[result.objective_metrics[0]] == value)


def _finite(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in plain.items()}

"""Points trained on several seeds, ranked by their mean, with what the seeds alone may have caused.

One number for each setting is not enough: between-seed variance may exceed the differences that a search finds
(Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks"; Agarwal et al. 2021).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from sweeps.analysis.axes import SEED
from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.results import SweepResult
from sweeps.tracking.trial_names import full_label

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Repeated:
    """A point without its seed, its trials by seed, and the value of the first objective by seed.

    A seed whose trial failed, or has no value yet, has a trial and no value.
    """

    point: Mapping[str, Any]
    trials: Mapping[int, str]
    values: Mapping[int, float]


@dataclass(frozen=True)
class MeanOverSeeds:
    """A point's mean over seeds and the `confidence` interval of this mean, `low` to `high`, from Student's t.

    The interval of a single seed is unbounded. `is_tied`: the point is not significantly worse than the first at this
    confidence.
    """

    label: str
    point: Mapping[str, Any]
    trials: Mapping[int, str]
    values: Mapping[int, float]
    mean: float
    low: float
    high: float
    is_tied: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an unbounded end of the interval is None."""
        plain = asdict(self)
        return plain | {name: plain[name] if math.isfinite(plain[name]) else None for name in ("low", "high")}


def repeated_points(result: SweepResult) -> list[Repeated]:
    """Return the points of a sweep that differ from another one in their seed alone; none if it searches no seed."""
    values = {trial.trial: trial.metrics[result.objective_metrics[0]] for trial in result.ranking}
    groups: dict[str, dict[int, str]] = defaultdict(dict)
    points: dict[str, dict[str, Any]] = {}
    for record in result.points:
        if SEED in record.point and record.state is not PointState.KILLED:
            point = {path: value for path, value in record.point.items() if path != SEED}
            points[repr(point)] = point
            groups[repr(point)][record.point[SEED]] = record.point_id
    return [
        Repeated(points[key], trials, {seed: values[trial] for seed, trial in trials.items() if trial in values})
        for key, trials in groups.items()
        if len(trials) > 1
    ]


def rank_by_mean(result: SweepResult, confidence: float = CONFIDENCE) -> list[MeanOverSeeds]:
    """Return the repeated points that have a value, best mean of the first objective first."""
    objective = result.config.objectives[0]
    groups = [group for group in repeated_points(result) if group.values]
    sign = 1.0 if objective.direction == "minimize" else -1.0
    groups.sort(key=lambda group: sign * fmean(group.values.values()))
    search = {path: values for path, values in result.config.search.items() if path != SEED}
    ranked = []
    for place, group in enumerate(groups):
        low, high = interval_of_mean(list(group.values.values()), confidence)
        is_tied = place == 0 or not is_better(groups[0], group, objective, n_points=len(groups), confidence=confidence)
        label = full_label(group.point, search) or "the only point"
        mean = fmean(group.values.values())
        ranked.append(MeanOverSeeds(label, group.point, group.trials, group.values, mean, low, high, is_tied))
    return ranked


def interval_of_mean(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return Student's t interval of the mean of independent values; unbounded for a single one."""
    mean, error = fmean(values), _standard_error(values)
    if math.isinf(error):
        return -math.inf, math.inf
    margin = _critical(1 - (1 - confidence) / 2, len(values) - 1) * error
    return mean - margin, mean + margin


def is_better(one: Repeated, other: Repeated, objective: ObjectiveConfig, *, n_points: int, confidence: float) -> bool:
    """Return whether one point is better than another by Student's paired t test over the seeds that both have.

    The error of the mean counts at least as much as the steps of the metric: three equal gains of one misclassified
    sample do not prove anything. The test is one-sided, and corrected (Bonferroni) for all ordered pairs of `n_points`
    points: the chance that any of its verdicts among equal points is wrong stays below 1 - `confidence`, whichever of
    them happens to lead.
    """
    sign = 1.0 if objective.direction == "minimize" else -1.0
    gains = [sign * (other.values[seed] - one.values[seed]) for seed in one.values.keys() & other.values.keys()]
    if len(gains) < 2:
        return False
    level = (1 - confidence) / max(1, n_points * (n_points - 1))
    error = max(_standard_error(gains), _resolution(one, other) / math.sqrt(len(gains)))
    return fmean(gains) > _critical(1 - level, len(gains) - 1) * error


def in_words(ranked: Sequence[MeanOverSeeds]) -> str:
    """Return in a sentence which point leads by its mean, and which points tie with it."""
    if not ranked:
        return "no point has a value on any seed"
    leader, n_seeds = ranked[0], len(ranked[0].values)
    tied = [str(place) for place, other in enumerate(ranked, start=1) if other.is_tied and place > 1]
    if len(ranked) == 1:
        return f"{leader.label}: {leader.mean:.4g}, the mean over {n_seeds} seeds"
    at = f"at {CONFIDENCE * 100:g} % confidence, over {n_seeds} seeds"
    if not tied:
        return f"number 1 is better than the others {at}"
    places = tied[0] if len(tied) == 1 else f"{', '.join(tied[:-1])} and {tied[-1]}"
    verb = "is" if len(tied) == 1 else "are"
    return f"statistical tie: number {places} {verb} not significantly worse than number 1 {at}"


def _standard_error(values: Sequence[float]) -> float:
    """Return the standard error of a mean; infinity for a single value."""
    if len(values) < 2:
        return math.inf
    mean = fmean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def _resolution(one: Repeated, other: Repeated) -> float:
    """Return the smallest step between values: equal gains on few seeds are not exact, only as coarse as the metric."""
    values = sorted({*one.values.values(), *other.values.values()})
    return min((high - low for low, high in pairwise(values)), default=0.0)


def _critical(probability: float, degrees_of_freedom: int) -> float:
    from scipy.special import stdtrit  # scipy.stats takes most of a second to import

    return float(stdtrit(degrees_of_freedom, probability))

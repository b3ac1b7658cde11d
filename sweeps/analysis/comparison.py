"""Two sweeps side by side: the settings that differ, and whether the trials of one tend to be better."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.analysis.axes import is_better_low, objective_values
from sweeps.tracking.sweep_result import SweepResult

LEVEL = 0.05
MIN_TRIALS = 5
# Sections that say what is trained; the others say how the sweep runs.
_COMPARED = ("data", "model", "training", "search", "algorithm", "stopping", "budget", "execution")


@dataclass(frozen=True)
class Difference:
    """A setting that differs between two sweeps, by its dotted path; None where a sweep file does not give it."""

    path: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Comparison:
    """Two sweeps by an objective that both have.

    `win_probability` is the probability that a random trial of the second is better than one of the first, ties counted
    half; `p_value` is that of the Mann-Whitney U test. `best` holds the best value of each; `verdict` says it in words.
    """

    metric: str
    differences: tuple[Difference, ...]
    n_trials: tuple[int, int]
    best: tuple[float, float] | None
    medians: tuple[float, float] | None
    win_probability: float | None
    p_value: float | None
    verdict: str


def compare(first: SweepResult, second: SweepResult, objective_index: int = 0) -> Comparison:
    """Return two sweeps side by side; ValueError if they do not have the same objective."""
    import numpy as np
    from scipy.stats import mannwhitneyu

    metric = first.objective_metrics[objective_index]
    if first.config.objectives[objective_index] not in second.config.objectives:
        raise ValueError(f"both sweeps must have the objective {metric}, not {', '.join(second.objective_metrics)}")
    values = (
        objective_values(first, objective_index),
        objective_values(second, second.objective_metrics.index(metric)),
    )
    differences = tuple(_differences(first.config.to_dict(), second.config.to_dict()))
    counts = (len(values[0]), len(values[1]))
    if min(counts) < MIN_TRIALS:
        have = f"they have {counts[0]} and {counts[1]}"
        verdict = f"No verdict: each sweep needs at least {MIN_TRIALS} ranked trials, and {have}."
        return Comparison(metric, differences, counts, None, None, None, None, verdict)
    sign = 1 if is_better_low(first, objective_index) else -1
    losses = [sign * np.array(group) for group in values]
    tested = mannwhitneyu(losses[0], losses[1])
    wins = float(tested.statistic) / (counts[0] * counts[1])  # U counts pairs in which the first has the higher loss
    best = (float(sign * losses[0].min()), float(sign * losses[1].min()))
    medians = (float(np.median(values[0])), float(np.median(values[1])))
    verdict = _verdict(float(tested.pvalue), wins)
    return Comparison(metric, differences, counts, best, medians, wins, float(tested.pvalue), verdict)


def _verdict(p_value: float, wins: float) -> str:
    if p_value > LEVEL:
        return f"The trials of the two sweeps cannot be told apart (p = {p_value:.2g})."
    better, share = ("second", wins) if wins > 0.5 else ("first", 1 - wins)
    return (
        f"Trials of the {better} sweep tend to be better: a random one beats a random trial of the other with a "
        f"probability of {share:.0%} (p = {p_value:.2g})."
    )


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    ours = {path: value for section in _COMPARED for path, value in _leaves(first.get(section), section)}
    theirs = {path: value for section in _COMPARED for path, value in _leaves(second.get(section), section)}
    for path in dict.fromkeys([*ours, *theirs]):
        if ours.get(path) != theirs.get(path):
            yield Difference(path, ours.get(path), theirs.get(path))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and not path.startswith("search."):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}")
    elif value is not None:
        yield path, value

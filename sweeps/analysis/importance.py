"""How much each searched setting matters for an objective: PED-ANOVA and fANOVA, with their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeps.analysis.axes import Axis, axes, is_better_low
from sweeps.analysis.effect_tests import effect_p_values
from sweeps.analysis.importance_words import importance_sentence, too_few_sentence
from sweeps.tracking.sweep_result import SweepResult

if TYPE_CHECKING:
    import optuna

# Below this number of ranked trials nothing is reported; with many settings, below twice their number.
MIN_TRIALS = 10
LEVEL = 0.05
N_SEEDS = 5
N_TREES = 8
# Optuna's fANOVA is written in Python: each forest takes this many trials at most.
MAX_TRIALS = 120
# PED-ANOVA compares the best tenth with all trials, but at least this many: fewer make a noisy density.
MIN_LEADERS = 5


@dataclass(frozen=True)
class SettingImportance:
    """The importance of one setting, each a share from 0 to 1.

    `fanova` is the share of the objective's variance that the setting explains by itself, the mean over forests, and
    `fanova_std` its standard deviation. `ped_anova` is the setting's share in what sets the best trials apart.
    `p_value` tests whether it has any effect; `matters` says that it does, with a correction for the settings tested.
    """

    path: str
    fanova: float
    fanova_std: float
    ped_anova: float
    p_value: float
    matters: bool


@dataclass(frozen=True)
class Importance:
    """The importance of each setting for an objective, most important first, and what that says in one sentence.

    `too_few` says why there are no numbers; `settings` is empty then. `n_sampled` is the number of trials that each
    forest learned from. `constant` lists searched settings that did not vary.
    """

    metric: str
    n_trials: int
    n_sampled: int
    n_seeds: int
    settings: tuple[SettingImportance, ...]
    constant: tuple[str, ...]
    too_few: str | None
    sentence: str


def importances(result: SweepResult, objective_index: int = 0) -> Importance:
    """Return the importance of each searched setting for an objective, from the ranked trials alone."""
    return importances_of([result], objective_index)


def importances_of(results: Sequence[SweepResult], objective_index: int = 0) -> Importance:
    """Return the importance of the settings that several sweeps of the same objective search, over all their trials."""
    metric = results[0].objective_metrics[objective_index]
    for result in results:
        if result.objective_metrics[objective_index] != metric:
            raise ValueError(f"all sweeps must have the objective {metric}, not {result.objective_metrics}")
    points = [trial.point for result in results for trial in result.ranking]
    values = [trial.metrics[metric] for result in results for trial in result.ranking]
    searched = {path: None for result in results for path in result.config.search}
    found = _merged_axes(results, points)
    varying = {axis.path for axis in found}
    constant = tuple(path for path in searched if path not in varying)
    importance = Importance(metric, len(points), 0, 0, (), constant, None, "")
    too_few = _why_too_few(found, values)
    if too_few is not None:
        return replace(importance, too_few=too_few, sentence=too_few_sentence(too_few))
    n_sampled = min(len(points), MAX_TRIALS)
    settings = _measure(found, points, values, is_better_low(results[0], objective_index))
    sentence = importance_sentence(settings, n_sampled, len(points))
    return replace(importance, n_sampled=n_sampled, n_seeds=N_SEEDS, settings=settings, sentence=sentence)


def _merged_axes(results: Sequence[SweepResult], points: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """Return each axis once; a setting that one sweep draws from a range and another from a list is a range."""
    merged: dict[str, Axis] = {}
    for result in results:
        for axis in axes(result, points):
            if axis.path not in merged or merged[axis.path].is_categorical:
                merged[axis.path] = axis
    return list(merged.values())


def _why_too_few(found: Sequence[Axis], values: Sequence[float]) -> str | None:
    needed = max(MIN_TRIALS, 2 * len(found))
    if len(values) < needed:
        return f"{len(values)} ranked {'trial is' if len(values) == 1 else 'trials are'} too few: at least {needed} are"
    if not found:
        return "no searched setting varies among the ranked trials, and at least one is"
    if max(values) == min(values):
        return "all ranked trials have the same value, and different ones are"
    return None


def _measure(
    found: Sequence[Axis], points: Sequence[Mapping[str, Any]], values: Sequence[float], minimize: bool
) -> tuple[SettingImportance, ...]:
    import numpy as np

    places = np.array([[axis.place(point[axis.path]) for axis in found] for point in points])  # (trials, settings)
    objective = np.array(values, dtype=np.float64)
    # The order of the trials must not change the forests.
    order = np.lexsort((*places.T, objective))
    places, objective = places[order], objective[order]
    shares = _fanova(found, places, objective)  # (seeds, settings)
    ped = _ped_anova(found, places, objective, minimize)
    p_values, matters = effect_p_values(found, places, objective, LEVEL)
    settings = [
        SettingImportance(
            axis.path,
            float(shares[:, index].mean()),
            float(shares[:, index].std(ddof=1)),
            ped[index],
            p_values[index],
            matters[index],
        )
        for index, axis in enumerate(found)
    ]
    return tuple(sorted(settings, key=lambda setting: (-setting.fanova, setting.path)))


def _fanova(found: Sequence[Axis], places: Any, objective: Any) -> Any:
    """Return the share of variance by setting, one row for each seed of the forest (Hutter et al. 2014)."""
    import numpy as np
    from optuna.importance import FanovaImportanceEvaluator

    rows = []
    for seed in range(N_SEEDS):
        chosen = np.arange(len(objective))
        if len(objective) > MAX_TRIALS:
            chosen = np.random.default_rng(seed).choice(len(objective), MAX_TRIALS, replace=False)
        if np.ptp(objective[chosen]) == 0:  # the few that differ were not drawn
            rows.append([0.0] * len(found))
            continue
        study = _study(found, places[chosen], objective[chosen], minimize=True)
        measured = FanovaImportanceEvaluator(n_trees=N_TREES, seed=seed).evaluate(study)
        rows.append([float(measured[axis.path]) for axis in found])
    return np.array(rows)


def _ped_anova(found: Sequence[Axis], places: Any, objective: Any, minimize: bool) -> list[float]:
    """Return each setting's share in what sets the best trials apart (Watanabe et al. 2023)."""
    from optuna.importance import PedAnovaImportanceEvaluator

    quantile = min(0.5, max(0.1, MIN_LEADERS / len(objective)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    measured = evaluator.evaluate(_study(found, places, objective, minimize))
    total = sum(measured.values())
    return [float(measured[axis.path] / total) if total > 0 else 0.0 for axis in found]


def _study(found: Sequence[Axis], places: Any, objective: Any, minimize: bool) -> "optuna.Study":
    """Return an in-memory study of the trials.

    Logarithms are taken here: Optuna's fANOVA would average over the range itself, nearly all of which is the last
    decade.
    """
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it writes a line for each study
    study = optuna.create_study(direction="minimize" if minimize else "maximize")
    distributions: dict[str, BaseDistribution] = {
        axis.path: CategoricalDistribution(range(len(axis.categories)))
        if axis.is_categorical
        else FloatDistribution(axis.low, axis.high)
        for axis in found
    }
    trials = []
    for row, value in zip(places, objective, strict=True):
        params = {
            axis.path: int(place) if axis.is_categorical else float(place)
            for axis, place in zip(found, row, strict=True)
        }
        trials.append(create_trial(params=params, distributions=distributions, value=float(value)))
    study.add_trials(trials)
    return study

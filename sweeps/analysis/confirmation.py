"""The leaders of a sweep on new seeds, as a sweep of its own: which of them are better, and which were lucky."""

from typing import Any

from sweeps.analysis.axes import SEED
from sweeps.analysis.sweep_files import renamed
from sweeps.config import SweepConfig
from sweeps.errors import InputError
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.tracking.unranked import why_unranked

_SUFFIX = "-confirm"


def confirmation_sweep(result: SweepResult, top: int, n_seeds: int) -> SweepConfig:
    """Return the sweep of the `top` leading points of a sweep on `n_seeds` seeds each.

    The seeds are new: by its own seed, a leader was chosen. No trial is stopped early. Raises InputError if the sweep
    ranks no trial.
    """
    leaders = leading_trials(result, top)
    if not leaders:
        raise InputError(f"{result.sweep} must rank a trial to be confirmed, and ranks none: {why_unranked(result)}")
    config = result.config
    seeds = new_seeds(result, n_seeds)
    # By seed: trials of one seed have the same batches, so that they share a pack.
    points = [{**trial.point, SEED: seed} for seed in seeds for trial in leaders]
    changes: dict[str, Any] = {
        "description": f"The {len(leaders)} leading points of {result.sweep} on {n_seeds} new seeds.",
        "experiment": config.experiment,
        "search": config.to_dict().get("search", {}) | {SEED: {"choice": seeds}},
        "algorithm": {"name": "points", "points": points},
        "stopping": {"name": "none"},
        "budget": {},
        # With `packed`, all seeds would take the same batches and noise.
        "execution": "single" if config.execution == "single" else "auto",
    }
    return SweepConfig.from_dict(renamed(config.to_dict(), _SUFFIX) | changes)


def leading_trials(result: SweepResult, top: int) -> list[RankedTrial]:
    """Return the best trials of a sweep that differ in more than their seed."""
    leaders: dict[str, RankedTrial] = {}
    for trial in result.ranking:
        leaders.setdefault(repr({path: value for path, value in trial.point.items() if path != SEED}), trial)
    return list(leaders.values())[:top]


def new_seeds(result: SweepResult, n_seeds: int) -> list[int]:
    """Return the seeds after all that the sweep has used."""
    used = [result.config.training.seed, *(point.point[SEED] for point in result.points if SEED in point.point)]
    return [max(used) + number for number in range(1, n_seeds + 1)]

"""How trials are stopped early: one module for each scheduler of Ray Tune.

Each scheduler's section in `sweeps.config.schedulers` names its module, which is imported on first use.
"""

from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name
from typing import TypeAlias

from ray.tune.schedulers import TrialScheduler

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.search.ranking import EpochValue
from sweeps.search.successive_halving import halving

# Makes a scheduler from the sweep, and the values of points that ended before a resume and, by id, of unfinished ones.
MakeScheduler: TypeAlias = Callable[
    [SweepConfig, Sequence[tuple[Point, Sequence[EpochValue]]], Mapping[str, Sequence[EpochValue]]], TrialScheduler
]


def scheduler(
    config: SweepConfig,
    ended_values: Sequence[tuple[Point, Sequence[EpochValue]]] = (),
    unfinished_values: Mapping[str, Sequence[EpochValue]] | None = None,
) -> TrialScheduler | None:
    """Return the scheduler that stops trials early, by the `epoch` and `objective` of their results.

    Return None if no trial is stopped early, or if workers halve their packs (`sweeps.search.successive_halving`).
    For a resumed sweep, `ended_values` holds the objective after each epoch of ended points, which trials are compared
    with, and `unfinished_values`, by id, of the points that continue: they are not stopped at rungs already passed.
    """
    if config.stopping.scheduler is None or halving(config) is not None:
        return None
    make: MakeScheduler = resolve_name(config.stopping.scheduler)
    return make(config, ended_values, unfinished_values or {})

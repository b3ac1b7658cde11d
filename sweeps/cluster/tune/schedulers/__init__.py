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

# Makes a scheduler from the sweep, the points that ended before a resume, and the values of those that did not, by id.
MakeScheduler: TypeAlias = Callable[
    [SweepConfig, Sequence[tuple[Point, Sequence[EpochValue]]], Mapping[str, Sequence[EpochValue]]], TrialScheduler
]


def scheduler(
    config: SweepConfig,
    ended_values: Sequence[tuple[Point, Sequence[EpochValue]]] = (),
    unfinished_values: Mapping[str, Sequence[EpochValue]] | None = None,
) -> TrialScheduler | None:
    """Return what stops trials early by the `epoch` and `objective` of their results.

    None if no trial is stopped, or if packs are halved by the workers (`sweeps.search.successive_halving`). A resumed
    sweep gives the objective after each epoch: in `ended_values` of each point that has ended, for other trials to be
    compared with; in `unfinished_values`, by id, of each point that continues: those rungs are not judged again.
    """
    if config.stopping.scheduler is None or halving(config) is not None:
        return None
    make: MakeScheduler = resolve_name(config.stopping.scheduler)
    return make(config, ended_values, unfinished_values or {})

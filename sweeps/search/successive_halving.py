"""Successive halving: its rungs, and within a pack what it does at one. Plain Python."""

import math
from collections.abc import Mapping

from sweeps.config import SweepConfig
from sweeps.config.objective import ObjectiveConfig
from sweeps.config.sections import StoppingConfig, TrialConfig

ObjectiveValue = float | list[float]


def rung_epochs(stopping: StoppingConfig, trial: TrialConfig) -> list[int]:
    """The epochs after which a trial may be stopped, counted from the start of pre-training.

    Rungs count the epochs of `training.epochs`: pre-training is never cut short. The last epoch is no rung.
    """
    if stopping.name == "none":
        return []
    rungs = []
    epoch = stopping.grace_epochs
    while epoch < trial.training.epochs:
        rungs.append(trial.n_pretraining_epochs + epoch)
        epoch *= stopping.reduction_factor
    return rungs


class Halving:
    """A bracket (Li et al. 2018, section 3): of the points at a rung the best 1/`reduction_factor` stay, one at least.

    A value that is not finite is worse than any other; of equal ones the first stay. Where none is finite, since the
    rung was not validated, all stay.
    """

    def __init__(self, objective: ObjectiveConfig, reduction_factor: int, rule: str) -> None:
        self._objective = objective
        self._reduction_factor = reduction_factor
        self.rule = rule

    def leaving(self, told: Mapping[str, ObjectiveValue]) -> list[str]:
        """Those of the points at a rung, by their ids with their objectives, that end there."""
        ranked: list[tuple[str, float]] = []
        for point_id, value in told.items():
            assert isinstance(value, (int, float)), "several objectives are not halved"
            beaten = (n for n, (_, other) in enumerate(ranked) if self._objective.is_better(value, other))
            ranked.insert(next(beaten, len(ranked)), (point_id, value))
        if not any(math.isfinite(value) for _, value in ranked):
            return []
        return [point_id for point_id, _ in ranked[max(1, len(ranked) // self._reduction_factor) :]]


def halving(sweep: SweepConfig) -> Halving | None:
    """How the packs of a sweep are halved; None where they are not."""
    stopping = sweep.stopping
    if stopping.name == "none" or sweep.execution != "packed":
        return None
    return Halving(sweep.objectives[0], stopping.reduction_factor, stopping.name)

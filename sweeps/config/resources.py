"""The `budget`, `resources` and `figures` sections: what a sweep may spend."""

from typing import Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validates

from sweeps.models.config import Section


class BudgetConfig(Section):
    """When the sweep ends: after so many points, or so many seconds. A grid may leave `trials` out: all its points."""

    trials: PositiveInt | None = None
    seconds: PositiveFloat | None = None


class ResourcesConfig(Section):
    """What a trial may use, how many run at once, and how often one is started again whose process was lost.

    `gpus_per_trial: auto` takes a share of a GPU where the cluster has any, and a whole one for a pack. `concurrency`
    counts packs where points train in packs, and defaults to what fits.
    """

    cpus_per_trial: PositiveFloat = 1.0
    gpus_per_trial: NonNegativeFloat | Literal["auto"] = "auto"
    concurrency: PositiveInt | None = None
    retries: NonNegativeInt = 2

    @validates(mode="after")
    def several_gpus_are_whole(self) -> Self:
        gpus = self.gpus_per_trial
        if isinstance(gpus, float) and gpus > 1 and not gpus.is_integer():
            raise ValueError(f"gpus_per_trial must be at most 1 or a whole number, not {gpus}")
        return self


class FiguresConfig(Section):
    """Which trials get the figures that take most of a second to draw, beside the filters and reconstructions of all.

    `finalists` are the best trial, or the first ten of a Pareto front, and get theirs when the sweep ends. With `none`
    no trial saves what these figures are drawn from.
    """

    detailed: Literal["finalists", "all", "none"] = "finalists"

"""The `budget`, `resources`, `prices` and `figures` sections: what a sweep may spend."""

from typing import Annotated, Literal, Self

from pydantic import Field
from pydantic import model_validator as validates

from sweeps.models.config.limits import Count, CountOrZero
from sweeps.section import Section


class BudgetConfig(Section):
    """When the sweep ends: after `trials` points, `seconds` or `device_hours`, whichever comes first.

    A grid without `trials` trains all its points. Device hours are the wall time of the packs that train, times the
    devices that each holds: its GPUs if it uses any, else its CPU cores.
    """

    trials: Count | None = Field(default=None, description="Trials to run; a grid without it runs all its points.")
    seconds: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="Seconds after which the sweep ends; by default no limit.", examples=[3600]
    )
    device_hours: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None,
        description="Hours of device time (GPUs, or else CPU cores) after which the sweep ends; by default no limit.",
        examples=[2.5],
    )


class ResourcesConfig(Section):
    """What a trial may use, how many trials run at once, and how often a trial restarts after its process failed.

    `gpus_per_trial: auto` takes a share of a GPU if the cluster has any, and a whole GPU for a pack. `concurrency`
    counts packs if points train in packs; by default as many run as fit.
    """

    cpus_per_trial: float = Field(default=1.0, gt=0, le=1e6, description="CPU cores of a trial.")
    gpus_per_trial: Annotated[float, Field(ge=0, le=1e6)] | Literal["auto"] = Field(
        default="auto", description="GPUs of a trial, such as 0.5; auto takes a share of a GPU if the cluster has any."
    )
    concurrency: Count | None = Field(
        default=None, description="Trials, or packs, that run at once; by default as many as fit."
    )
    retries: CountOrZero = Field(default=2, description="Restarts of a trial whose process failed.")

    @validates(mode="after")
    def several_gpus_are_whole(self) -> Self:
        gpus = self.gpus_per_trial
        if isinstance(gpus, float) and gpus > 1 and not gpus.is_integer():
            raise ValueError(f"gpus_per_trial must be at most 1 or a whole number, not {gpus}")
        return self


class PricesConfig(Section):
    """What a device costs per hour: `sweeps quote` shows the money that a sweep will cost."""

    currency: str = Field(
        default="EUR", min_length=1, max_length=8, description="Currency of the prices.", examples=["USD"]
    )
    cpu_hour: float = Field(
        default=0.0, ge=0, le=1e9, description="Price of one CPU core for an hour.", examples=[0.05]
    )
    gpu_hour: float = Field(default=0.0, ge=0, le=1e9, description="Price of one GPU for an hour.", examples=[2.0])


class FiguresConfig(Section):
    """Which trials get detailed figures, each of which takes most of a second to draw.

    Filters and reconstructions are drawn for every trial. `finalists` are the best trial, or the first ten of a Pareto
    front; their figures are drawn when the sweep ends. With `none` no trial saves the data of detailed figures.
    """

    detailed: Literal["finalists", "all", "none"] = Field(
        default="finalists", description="Trials that get detailed figures."
    )
    report: bool = Field(
        default=True,
        description="Whether MLflow gets the report of the sweep, an HTML page, while it runs and at its end.",
    )

"""The `objective` section: the metrics that rank trials."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, TypeAdapter
from pydantic import model_validator as validates

from sweeps.models.metric_table import TRIAL_METRICS, Direction
from sweeps.section import Section

# The objectives of `TRIAL_METRICS`, as a type; a test compares the two.
Metric = Literal[
    "train/loss",
    "valid/mse",
    "valid/r2",
    "valid/mse_over_pca",
    "valid/denoise_mse",
    "valid/probe_error",
    "valid/classification_error",
    "valid/code_sparsity",
    "valid/dead_units",
]


def _natural(metric: str | None) -> Direction:
    return TRIAL_METRICS[metric].better if metric in TRIAL_METRICS else "minimize"


class ObjectiveConfig(Section):
    """A metric that ranks trials, at a trial's best or last epoch.

    By default errors are minimized; `valid/r2` and `valid/code_sparsity` are maximized.
    """

    metric: Metric = Field(description="Metric that ranks the trials.", examples=["valid/mse"])
    direction: Direction = Field(
        default_factory=lambda given: _natural(given.get("metric")),
        description="Whether lower or higher values are better; by default what is natural for the metric.",
    )
    at: Literal["best", "last"] = Field(
        default="best", description="Epoch that counts: each trial's best, or its last."
    )

    @validates(mode="after")
    def direction_fits_the_metric(self) -> Self:
        natural = _natural(self.metric)
        if self.direction != natural and not TRIAL_METRICS[self.metric].may_be_reversed:
            raise ValueError(f"direction must be {natural} for {self.metric}, not {self.direction}: leave it out")
        return self

    def is_better(self, value: float, best: float) -> bool:
        """Return whether `value` is better than `best`; any finite value is better than one that is not finite."""
        if not math.isfinite(value):
            return False
        return not math.isfinite(best) or (value < best if self.direction == "minimize" else value > best)


# One objective or a list: decided before either is parsed, so that issues refer to the form the user wrote.
Objectives = Annotated[
    Annotated[ObjectiveConfig, Tag("one")]
    | Annotated[tuple[ObjectiveConfig, ...], Field(min_length=1, max_length=20), Tag("several")],
    Discriminator(lambda written: "several" if isinstance(written, (list, tuple)) else "one"),
]


def stored_objectives(document: Mapping[str, Any]) -> tuple[ObjectiveConfig, ...]:
    """Return the objectives of a sweep from the dict that `SweepConfig.to_dict` returned; none if it has none."""
    if "objective" not in document:
        return ()
    found = TypeAdapter[ObjectiveConfig | tuple[ObjectiveConfig, ...]](Objectives).validate_python(
        document["objective"]
    )
    return (found,) if isinstance(found, ObjectiveConfig) else found

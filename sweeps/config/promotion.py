"""The `promotion` section: the gates that a challenger must pass."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from sweeps.models.config import Section

Loss = Literal["mse", "denoise_mse", "probe_error", "classification_error"]
# The names of `models.diagnosis.findings.Issue`.
Diagnosis = Literal[
    "learning rate too high",
    "no better than the mean: the features hardly vary",
    "collapsed to the mean",
    "output is the column mean",
    "hardly trained: no better than the mean",
    "penalty dominates the loss",
    "dead units",
    "saturated units",
    "worse than PCA of the same size",
    "identity copied",
    "filters follow the data's mean",
    "over-fitting",
    "still improving when it stopped",
]


class PromotionConfig(Section):
    """What a model must pass before it becomes the champion.

    A challenger is compared with the champion and with a simple reference by the loss `compare`, sample by sample; left
    out, it is that of the objective. The bootstrap's interval of `confidence` must lie on its side of 0. `blocking` are
    the diagnoses that forbid a promotion, `max_dead_units` the share of the code's units that may never change.
    `seeds` trains the point again on so many seeds, of which the median must pass.
    """

    compare: Loss | None = None
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    blocking: tuple[Diagnosis, ...] = (
        "learning rate too high",
        "no better than the mean: the features hardly vary",
        "collapsed to the mean",
        "output is the column mean",
        "hardly trained: no better than the mean",
    )
    max_dead_units: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_size_mb: PositiveFloat = 500.0
    max_latency_ms: PositiveFloat = 100.0
    seeds: NonNegativeInt = 0

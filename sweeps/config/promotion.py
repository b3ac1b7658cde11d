"""The `promotion` section: the gates that a challenger must pass."""

from typing import Literal

from pydantic import Field, PositiveFloat

from sweeps.section import Section

Loss = Literal["mse", "denoise_mse", "probe_error", "classification_error"]
# The values of `models.diagnosis.findings.FindingName`.
Diagnosis = Literal[
    "features of very different scales",
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


MAX_SEEDS = 1000


class PromotionConfig(Section):
    """The gates that a challenger must pass to become the champion.

    The challenger is compared with the champion and with a simple baseline by the loss `compare`, sample by sample; by
    default this is the objective's loss. The bootstrap interval of the difference, at `confidence`, must be on the
    challenger's side of 0. `blocking` lists the findings that block a promotion; `max_dead_units` is the maximum share
    of code units that never change. `seeds` retrains the point with that many other seeds, whose median must pass.
    """

    compare: Loss | None = Field(
        default=None,
        description="Loss by which challenger and champion are compared; by default that of the objective.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="Confidence of the interval that must show the challenger to be better."
    )
    blocking: tuple[Diagnosis, ...] = Field(
        default=(
            "features of very different scales",
            "learning rate too high",
            "no better than the mean: the features hardly vary",
            "collapsed to the mean",
            "output is the column mean",
            "hardly trained: no better than the mean",
        ),
        description="Findings of the diagnosis that block a promotion.",
    )
    max_dead_units: float = Field(default=0.5, ge=0, le=1, description="Maximum share of code units that never change.")
    max_size_mb: PositiveFloat = Field(default=500.0, description="Maximum size of the saved model in MB.")
    max_latency_ms: PositiveFloat = Field(default=100.0, description="Maximum time of a prediction in milliseconds.")
    seeds: int = Field(
        default=0,
        ge=0,
        le=MAX_SEEDS,
        description="Other seeds with which the point is retrained; their median must pass.",
    )

"""The sections of a sweep file, apart from the search space. Imports nothing heavy."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError
from pydantic import model_validator as validates

from sweeps.config.dotted_paths import not_a_setting
from sweeps.config.issues import Issue, issues_of
from sweeps.datamodules.config import DataConfig
from sweeps.errors import ConfigError
from sweeps.models.config import ModelConfig, Section, TrainingConfig

SectionT = TypeVar("SectionT", bound=Section)
Direction = Literal["minimize", "maximize"]
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
HIGHER_IS_BETTER = ("valid/r2", "valid/code_sparsity")
EITHER_WAY = ("valid/code_sparsity", "valid/dead_units")


def _natural(metric: str | None) -> Direction:
    return "maximize" if metric in HIGHER_IS_BETTER else "minimize"


class TrialConfig(Section):
    """Everything that one training needs."""

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The trial config of a plain dict; ConfigError tells everything that is wrong with it."""
        return parse(cls, document)

    @property
    def n_pretraining_epochs(self) -> int:
        """Epochs before those that `training.epochs` counts: of every layer of a stacked model together."""
        return self.model.n_pretraining_epochs

    @property
    def n_epochs(self) -> int:
        """All epochs of a training, those of pre-training first."""
        return self.n_pretraining_epochs + self.training.epochs

    def to_dict(self) -> dict[str, Any]:
        """Every setting with its value, defaults too, as plain values that JSON can hold."""
        return self.model_dump(mode="json")


class ObjectiveConfig(Section):
    """A metric that ranks trials, taken at a point's best or last epoch.

    Left out, the direction is the metric's own: errors are minimized, `valid/r2` and `valid/code_sparsity` maximized.
    """

    metric: Metric
    direction: Direction = Field(default_factory=lambda given: _natural(given.get("metric")))
    at: Literal["best", "last"] = "best"

    @validates(mode="after")
    def direction_fits_the_metric(self) -> Self:
        natural = _natural(self.metric)
        if self.direction != natural and self.metric not in EITHER_WAY:
            raise ValueError(f"direction must be {natural} for {self.metric}, not {self.direction}")
        return self

    def is_better(self, value: float, best: float) -> bool:
        """Whether `value` beats `best`; what is not finite beats nothing and is beaten by everything that is."""
        if not math.isfinite(value):
            return False
        return not math.isfinite(best) or (value < best if self.direction == "minimize" else value > best)


class AlgorithmConfig(Section):
    """How points are chosen.

    `random` draws each by itself, `grid` takes every combination of the choices, `tpe` learns from the results: it asks
    for `batch_size` points at once and waits for all of them, so that the same seed gives the same points.
    """

    name: Literal["random", "grid", "tpe"] = "random"
    seed: NonNegativeInt = 0
    batch_size: PositiveInt = 4


class StoppingConfig(Section):
    """Which trials end early: none, or with `asha` those behind at a rung (Li et al. 2020).

    The first rung is at `grace_epochs`, each next one at `reduction_factor` times as many; of the trials that reach a
    rung, the best 1/`reduction_factor` go on.
    """

    name: Literal["none", "asha"] = "none"
    grace_epochs: PositiveInt = 1
    reduction_factor: Annotated[int, Field(ge=2)] = 3

    @validates(mode="after")
    def settings_are_used(self) -> Self:
        unused = sorted(self.model_fields_set - {"name"})
        if self.name == "none" and unused:
            raise ValueError(f"{' and '.join(unused)} must come with name: asha, for name none stops no trial")
        return self


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


def parse(section: type[SectionT], document: Mapping[str, Any]) -> SectionT:
    """A section from a plain dict, types taken strictly; ConfigError tells everything that is wrong with it."""
    parsed, issues = try_parse(section, document)
    if parsed is None:
        raise ConfigError([str(issue) for issue in issues])
    return parsed


def try_parse(section: type[SectionT], document: Mapping[str, Any]) -> tuple[SectionT | None, list[Issue]]:
    """The section, or None and its issues."""
    try:
        # By way of JSON: there a list is a tuple and a string a path, and nothing else passes for what it is not.
        return section.model_validate_json(json.dumps(document), strict=True), []
    except ValidationError as error:
        return None, issues_of(error, document, lambda path: not_a_setting(path, section, document))

"""The `stopping` section: one class for each scheduler, with its settings, its checks and where its code is.

To add a scheduler, add its section here and to `StoppingConfig`, and its code as a module of
`sweeps.cluster.tune.schedulers`.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag

from sweeps.config.issues import Issue
from sweeps.config.named_sections import by_name
from sweeps.config.objective import ObjectiveConfig
from sweeps.config.sections import TrialConfig
from sweeps.models.config.limits import MAX_COUNT, Count
from sweeps.section import Section


class SchedulerConfig(Section):
    """What the rest of a sweep asks of a scheduler; by default it stops no trial.

    `scheduler` is the `module:name` of a `sweeps.cluster.tune.schedulers.MakeScheduler`, imported on first use; None if
    every trial trains to its last epoch.
    """

    scheduler: ClassVar[str | None] = None

    name: str

    @property
    def stops_trials(self) -> bool:
        """Whether trials are compared with one another and may be stopped before their last epoch."""
        return self.scheduler is not None

    @property
    def pack_reduction_factor(self) -> int | None:
        """The n in "each pack keeps its best 1/n at a rung", with `execution: packed`; None: no halving."""
        return None

    def rung_epochs(self, trial: TrialConfig) -> list[int]:
        """Return the epochs after which a trial may be stopped, counted from the start of pretraining."""
        return []

    def issues(self, objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]) -> list[Issue]:
        """Return what the scheduler cannot work with in the objectives and the trials at the search space's corners."""
        return []


class NoStoppingConfig(SchedulerConfig):
    """Train every trial to its last epoch."""

    name: Literal["none"] = Field(default="none", description="The rule that stops trials early.")


class AshaConfig(SchedulerConfig):
    """Stop the trials that are behind at a rung (asynchronous successive halving, Li et al. 2020).

    The first rung is at `grace_epochs`, each next one at `reduction_factor` times as many epochs. At each rung the best
    1/`reduction_factor` of the trials that have reached it continue.
    """

    scheduler: ClassVar[str | None] = "sweeps.cluster.tune.schedulers.asha:RungScheduler"

    name: Literal["asha"] = Field(description="The rule that stops trials early.")
    grace_epochs: Count = Field(default=1, description="Epochs before the first rung: no trial stops earlier.")
    reduction_factor: int = Field(
        default=3,
        ge=2,
        le=MAX_COUNT,
        description="The n in 'the best 1/n continue' at a rung; rungs are n times as many epochs apart.",
    )

    @property
    def pack_reduction_factor(self) -> int:
        """Packs are halved by the same factor."""
        return self.reduction_factor

    def rung_epochs(self, trial: TrialConfig) -> list[int]:
        """Return the rungs before the last epoch. They count epochs of `training.epochs`: pretraining always ends."""
        rungs = []
        epoch = self.grace_epochs
        while epoch < trial.training.epochs:
            rungs.append(trial.n_pretraining_epochs + epoch)
            epoch *= self.reduction_factor
        return rungs

    def issues(self, objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]) -> list[Issue]:
        """Return an issue for several objectives, and one for a first rung that no trial reaches before its end."""
        issues = []
        if len(objectives) > 1:
            text = (
                f"must be none with {len(objectives)} objectives, not {self.name}, which compares trials by one: set "
                "it to none and training.patience, which watches the first, or rank by one objective"
            )
            issues.append(Issue("stopping.name", text, ("objective",)))
        fewest = min(trial.training.epochs for trial in trials)
        if self.grace_epochs >= fewest:
            text = f"must be below training.epochs ({fewest}) to stop a trial early, not {self.grace_epochs}: lower it"
            issues.append(Issue("stopping.grace_epochs", text, ("training.epochs",)))
        return issues


StoppingConfig = Annotated[
    Annotated[NoStoppingConfig, Tag("none")] | Annotated[AshaConfig, Tag("asha")],
    by_name(default="none"),
]

"""Asynchronous successive halving (Li et al. 2020): a trial that is behind at a rung is stopped there."""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler

from sweeps.config import SweepConfig
from sweeps.config.schedulers import AshaConfig
from sweeps.config.search_space import Point
from sweeps.search.ranking import EpochValue


class RungScheduler(AsyncHyperBandScheduler):
    """Ray's ASHA at the rungs of `AshaConfig.rung_epochs`.

    Pretraining epochs are not counted, and a result without a finite objective is not compared. Points that ended
    before a resume count at their rungs from the start; values of an unfinished point count once its trial is added.
    """

    def __init__(
        self,
        config: SweepConfig,
        ended_values: Sequence[tuple[Point, Sequence[EpochValue]]],
        unfinished_values: Mapping[str, Sequence[EpochValue]],
    ) -> None:
        section = cast(AshaConfig, config.stopping)  # the section that names this scheduler
        self._config = config
        self._unfinished_values = unfinished_values
        longest = max(trial.training.epochs for trial in config.corner_trials())
        super().__init__(
            time_attr="epoch",
            metric="objective",
            mode="min" if config.objectives[0].direction == "minimize" else "max",
            grace_period=section.grace_epochs,
            reduction_factor=section.reduction_factor,
            # Just below the last epoch, which is no rung: a trial that reaches its end was not stopped early.
            max_t=longest - 0.5,  # type: ignore[arg-type]
            stop_last_trials=False,
        )
        for number, (point, values) in enumerate(ended_values):
            self._replay_ended(number, point, values)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial; one that continues after a resume counts at the rungs it has passed."""
        super().on_trial_add(tune_controller, trial)
        values = self._unfinished_values.get(trial.config["points"][0].get("id", ""), ())
        self._replay(tune_controller, trial, values)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether the trial continues or stops."""
        comparable = self._comparable(trial, result)
        return self.CONTINUE if comparable is None else super().on_trial_result(tune_controller, trial, comparable)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Count the last result of a trial."""
        comparable = self._comparable(trial, result)
        if comparable is not None:
            super().on_trial_complete(tune_controller, trial, comparable)

    def _replay_ended(self, number: int, point: Point, values: Sequence[EpochValue]) -> None:
        trial: Any = SimpleNamespace(trial_id=f"past-{number}", config={"points": [{"point": point}]})
        self.on_trial_add(None, trial)
        self._replay(None, trial, values)

    def _replay(self, tune_controller: Any, trial: Trial, values: Sequence[EpochValue]) -> None:
        """Count earlier results; whether the trial continues was decided then."""
        for epoch, objective in values:
            self.on_trial_result(tune_controller, trial, {"epoch": epoch, "objective": objective})

    def _comparable(self, trial: Trial, result: dict[str, Any]) -> dict[str, Any] | None:
        """Return the result with its epoch counted from the end of pretraining; None if there is nothing to compare."""
        objective = result.get("objective", math.nan)
        if "epoch" not in result or not math.isfinite(objective):
            return None
        config = self._config.trial_at(trial.config["points"][0]["point"])
        epoch = result["epoch"] - config.n_pretraining_epochs
        # A trial may be shorter than the longest one: its own last epoch is no rung either.
        return {"epoch": epoch, "objective": objective} if epoch < config.training.epochs else None

"""Early stopping: trials that fall behind at a rung end there (asynchronous successive halving, Li et al. 2020)."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point


def scheduler(
    config: SweepConfig,
    past: Iterable[tuple[Point, Sequence[tuple[int, float]]]] = (),
    begun: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> TrialScheduler | None:
    """What stops trials early, by the `epoch` and `objective` of their results.

    None where nothing is stopped, or where packs halve themselves (`sweeps.search.successive_halving`).
    `past` holds trials of an earlier start of the sweep, for others to be compared with: each point, and what was told.
    `begun` holds what trials that go on had told by then, by the ids of their points: at the rungs behind
    them they have been compared.
    """
    if config.stopping.name == "none" or config.execution == "packed":
        return None
    made = RungScheduler(config, begun or {})
    for number, (point, told) in enumerate(past):
        made.recall(number, point, told)
    return made


class SweepStopper(Stopper):
    """Ends a whole sweep when `is_over` says so; no trial by itself."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: the Tuner pickles what it is given for `Tuner.restore`, by which no sweep is resumed."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial ends with this result."""
        return False

    def stop_all(self) -> bool:
        """Whether every trial ends now."""
        return self._is_over()


class RungScheduler(AsyncHyperBandScheduler):
    """Ray's asynchronous halving at `rung_epochs`: a result without a value passes, pre-training does not count."""

    def __init__(self, config: SweepConfig, begun: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        self._config = config
        self._begun = begun
        longest = max(trial.training.epochs for trial in config.corner_trials())
        super().__init__(
            time_attr="epoch",
            metric="objective",
            mode="min" if config.objectives[0].direction == "minimize" else "max",
            grace_period=config.stopping.grace_epochs,
            reduction_factor=config.stopping.reduction_factor,
            # Just short of the last epoch, which is no rung: a trial that reaches its end was not stopped.
            max_t=longest - 0.5,  # type: ignore[arg-type]
            stop_last_trials=False,
        )

    def recall(self, number: int, point: Point, told: Iterable[tuple[int, float]]) -> None:
        """Count a trial that has been trained before."""
        trial: Any = SimpleNamespace(trial_id=f"past-{number}", config={"points": [{"point": point}]})
        self.on_trial_add(None, trial)
        for epoch, objective in told:
            self.on_trial_result(None, trial, {"epoch": epoch, "objective": objective})

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Count what a trial that goes on has told; what was decided then is done."""
        super().on_trial_add(tune_controller, trial)
        for epoch, objective in self._begun.get(trial.config["points"][0].get("id", ""), ()):
            self.on_trial_result(tune_controller, trial, {"epoch": epoch, "objective": objective})

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on or stop."""
        counted = self._counted(trial, result)
        return self.CONTINUE if counted is None else super().on_trial_result(tune_controller, trial, counted)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Keep the last result of a trial for the comparison."""
        counted = self._counted(trial, result)
        if counted is not None:
            super().on_trial_complete(tune_controller, trial, counted)

    def _counted(self, trial: Trial, result: dict[str, Any]) -> dict[str, Any] | None:
        """The result with its epoch counted from the end of pre-training; None where it has no value to compare."""
        objective = result.get("objective", math.nan)
        if "epoch" not in result or not math.isfinite(objective):
            return None
        config = self._config.trial_at(trial.config["points"][0]["point"])
        epoch = result["epoch"] - config.n_pretraining_epochs
        # A trial may be shorter than the longest: its own last epoch is no rung either.
        return {"epoch": epoch, "objective": objective} if epoch < config.training.epochs else None

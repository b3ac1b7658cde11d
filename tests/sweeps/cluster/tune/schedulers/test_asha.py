"""Which trials ASHA stops, and at which epochs."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.cluster.tune.schedulers import scheduler
from sweeps.config import SweepConfig


def sweep(grace_epochs: int = 1, reduction_factor: int = 3, **sections: Any) -> SweepConfig:
    document = {
        "name": "test",
        "data": {"name": "digits"},
        "model": {"name": "shallow"},
        "training": {"epochs": 27},
        "search": {"model.hidden_size": {"int": [8, 64]}},
        "objective": {"metric": "valid/mse"},
        "budget": {"trials": 4},
        "stopping": {"name": "asha", "grace_epochs": grace_epochs, "reduction_factor": reduction_factor},
    }
    return SweepConfig.from_dict(document | sections)


STACKED = {"name": "stacked_denoising", "hidden_sizes": [9, 8], "noise": {"level": 0.1}, "pretraining": {"epochs": 5}}


class Stopper:
    """The scheduler of a sweep, with trials added to it."""

    def __init__(
        self, config: SweepConfig, n_trials: int, point: dict[str, Any] | None = None, ended: Sequence[Any] = ()
    ) -> None:
        self.scheduler: Any = scheduler(config, ended)
        pack = {"points": [{"point": point or {}}]}
        self.trials: list[Any] = [SimpleNamespace(trial_id=str(index), config=pack) for index in range(n_trials)]
        for trial in self.trials:
            self.scheduler.on_trial_add(None, trial)

    def stops(self, trial: int, epoch: int, objective: float) -> bool:
        result = {"epoch": epoch, "objective": objective}
        return bool(self.scheduler.on_trial_result(None, self.trials[trial], result) == self.scheduler.STOP)


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "rungs"),
    [
        (1, 3, 27, [1, 3, 9]),
        (1, 3, 28, [1, 3, 9, 27]),
        (2, 2, 12, [2, 4, 8]),
        (5, 4, 6, [5]),
        (1, 3, 244, [1, 3, 9, 27, 81, 243]),
    ],
)
def test_rungs_are_powers_of_the_factor_before_the_last_epoch(
    grace: int, factor: int, epochs: int, rungs: list[int]
) -> None:
    config = sweep(grace, factor, training={"epochs": epochs})
    assert config.stopping.rung_epochs(config.trial) == rungs
    behind = Stopper(config, 2)
    for rung in rungs:
        assert not behind.stops(0, rung, 0.0)
    # The second trial is worse, and is stopped at a rung and at no other epoch.
    for epoch in range(1, epochs + 1):
        fresh = Stopper(config, 2)
        fresh.stops(0, epoch, 0.0)
        first_rung = max((rung for rung in rungs if rung <= epoch), default=None)
        assert fresh.stops(1, epoch, 1.0) == (first_rung is not None and epoch < epochs), epoch


def test_the_worse_trial_at_a_rung_is_stopped_and_the_better_one_continues() -> None:
    stopper = Stopper(sweep(), 3)
    assert not stopper.stops(0, 1, 0.5)
    assert stopper.stops(1, 1, 0.9)
    assert not stopper.stops(2, 1, 0.1)


def test_a_maximized_metric_is_compared_in_reverse() -> None:
    stopper = Stopper(sweep(objective={"metric": "valid/r2"}), 3)
    assert not stopper.stops(0, 1, 0.5)
    assert not stopper.stops(1, 1, 0.9)
    assert stopper.stops(2, 1, 0.1)


def test_no_trial_is_stopped_at_its_last_epoch() -> None:
    stopper = Stopper(sweep(training={"epochs": 9}), 2)
    assert not stopper.stops(0, 9, 0.1)
    assert not stopper.stops(1, 9, 0.9)


def test_a_result_without_a_value_neither_stops_the_trial_nor_counts() -> None:
    stopper = Stopper(sweep(), 3)
    assert not stopper.stops(0, 1, math.nan)
    assert not stopper.stops(1, 1, 0.9)
    assert not stopper.stops(0, 2, 0.1)
    assert stopper.stops(2, 2, 0.5)


def test_rungs_start_after_pretraining() -> None:
    config = sweep(model=STACKED, search={"model.noise.level": {"uniform": [0.0, 0.5]}})
    assert config.stopping.rung_epochs(config.trial) == [11, 13, 19]
    stopper = Stopper(config, 2)
    for epoch in range(11):
        assert not stopper.stops(0, epoch, 0.1)
        assert not stopper.stops(1, epoch, 0.9)
    assert not stopper.stops(0, 11, 0.1)
    assert stopper.stops(1, 11, 0.9)


def test_each_trial_counts_from_the_end_of_its_own_pretraining() -> None:
    config = sweep(model=STACKED, search={"model.pretraining.epochs": {"choice": [1, 5]}})
    stopper = Stopper(config, 2)
    stopper.trials[0].config = {"points": [{"point": {"model.pretraining.epochs": 1}}]}
    stopper.trials[1].config = {"points": [{"point": {"model.pretraining.epochs": 5}}]}
    assert not stopper.stops(0, 3, 0.1)
    assert not stopper.stops(1, 10, 0.9)
    assert stopper.stops(1, 11, 0.9)


def test_new_trials_are_compared_with_trials_that_ended_before_a_resume() -> None:
    config = sweep()
    fresh = Stopper(config, 1)
    assert not fresh.stops(0, 1, 0.9), "the first trial at a rung is ahead of all"
    resumed = Stopper(config, 2, ended=[({}, [(1, 0.5), (2, 0.4), (3, 0.3)])])
    assert resumed.stops(0, 1, 0.9)
    assert not resumed.stops(1, 1, 0.4)
    assert resumed.stops(1, 3, 0.4)


def test_a_resumed_trial_counts_at_a_passed_rung_with_its_value_at_that_rung() -> None:
    """The trial resumes past the rung with a better value, which must not count at the rung."""
    config = sweep(1, 3)
    values = [(1, 5.0), (2, 0.1)]
    made: Any = scheduler(config, (), {"0000": values})
    resumed, fresh = (
        SimpleNamespace(trial_id=name, config={"points": [{"id": name, "point": {}}]}) for name in ("0000", "0001")
    )
    for trial in (resumed, fresh):
        made.on_trial_add(None, trial)
    assert made.on_trial_result(None, resumed, {"epoch": 2, "objective": 0.1}) == made.CONTINUE
    assert made.on_trial_result(None, fresh, {"epoch": 1, "objective": 4.0}) == made.CONTINUE

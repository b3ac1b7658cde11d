"""The cost of a sweep against sums by hand."""

from dataclasses import replace

from planted_sweeps import PlantedTrial, planted_config, record

from sweeps.analysis.cost import cost
from sweeps.analysis.failures import failures
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.sweep_result import DEVICE_HOURS_TAG

SEARCH = {"model.noise.level": {"uniform": [0.0, 0.5]}}
POINT = {"model.noise.level": 0.1}


def test_cost_sums_trials_and_unites_their_times() -> None:
    epochs = [{"valid/mse": 1.0}]
    trials = [
        PlantedTrial(POINT, epochs * 10, start_ms=0, ms=4000),
        PlantedTrial(POINT, epochs * 4, start_ms=1000, ms=2000, tags={"sweeps.stopped_early": "asha"}),
        PlantedTrial(POINT, epochs * 2, start_ms=10_000, ms=1000, state=PointState.FAILED, reason="diverged"),
    ]
    spent = cost(record(planted_config(SEARCH), trials))
    assert spent.trial_seconds == 4 + 2 + 1
    assert spent.busy_seconds == 4 + 1
    assert spent.wall_seconds == 11.5
    assert (spent.epochs, spent.planned_epochs, spent.saved_epochs) == (16, 30, 6)


def test_a_trial_cut_by_the_budget_saves_nothing() -> None:
    epochs = [{"valid/mse": 1.0}]
    trials = [
        PlantedTrial(POINT, epochs * 4, tags={"sweeps.stopped_early": "budget.seconds"}),
        PlantedTrial(POINT, epochs * 4, tags={"sweeps.stopped_early": "asha"}),
    ]
    result = record(planted_config(SEARCH), trials)
    assert cost(result).saved_epochs == 6
    found = failures(result)
    assert [stop.rule for stop in found.stopped_early] == ["asha"]
    assert [(stop.rule, stop.saved_epochs) for stop in found.cut_short] == [("budget.seconds", 0)]


def test_epochs_are_those_of_the_trials_that_ended() -> None:
    result = record(planted_config(SEARCH), [PlantedTrial(POINT, [{"valid/mse": 1.0}] * 10)] * 2)
    running = replace(result.points[1], state=PointState.RUNNING, end_ms=None)
    spent = cost(replace(result, points=[result.points[0], running]))
    assert (spent.epochs, spent.planned_epochs) == (10, 10)


def test_device_time_is_what_the_sweep_recorded() -> None:
    result = record(planted_config(SEARCH), [PlantedTrial(POINT, [{"valid/mse": 1.0}])])
    assert cost(result).device_seconds is None
    tags = {**result.record.tags, DEVICE_HOURS_TAG: "0.5"}
    assert cost(replace(result, record=replace(result.record, tags=tags))).device_seconds == 1800

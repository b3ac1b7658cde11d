"""The cost of a sweep against sums by hand."""

from planted_sweeps import PlantedTrial, planted_config, record

from sweeps.analysis.cost import cost
from sweeps.tracking.journal.records import PointState

SEARCH = {"model.noise.level": {"uniform": [0.0, 0.5]}}
POINT = {"model.noise.level": 0.1}
RESOURCES = {"cpus_per_trial": 2.0}


def test_cost_sums_trials_and_unites_their_times() -> None:
    epochs = [{"valid/mse": 1.0}]
    trials = [
        PlantedTrial(POINT, epochs * 10, start_ms=0, ms=4000),
        PlantedTrial(POINT, epochs * 4, start_ms=1000, ms=2000, tags={"sweeps.stopped_early": "asha"}),
        PlantedTrial(POINT, epochs * 2, start_ms=10_000, ms=1000, state=PointState.FAILED, reason="diverged"),
    ]
    spent = cost(record(planted_config(SEARCH, execution="single", resources=RESOURCES), trials))
    assert spent.trial_seconds == 4 + 2 + 1
    assert spent.busy_seconds == 4 + 1
    assert spent.wall_seconds == 11.5
    assert (spent.device, spent.device_seconds) == ("CPU", 2 * 7)
    assert (spent.epochs, spent.planned_epochs, spent.saved_epochs) == (16, 30, 6)


def test_share_of_a_gpu_counts() -> None:
    config = planted_config(SEARCH, execution="single", resources={"gpus_per_trial": 0.25})
    spent = cost(record(config, [PlantedTrial(POINT, [{"valid/mse": 1.0}], ms=8000)]))
    assert (spent.device, spent.device_seconds) == ("GPU", 2)


def test_packs_share_their_device() -> None:
    spent = cost(record(planted_config(SEARCH, execution="packed"), [PlantedTrial(POINT, [{"valid/mse": 1.0}])]))
    assert spent.device_seconds is None

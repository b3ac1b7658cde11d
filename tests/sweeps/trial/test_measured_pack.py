"""A few steps of a pack, trained to see what a whole training takes."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.config import SweepConfig, load
from sweeps.datamodules.arrays import DataArrays
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import load_dataset
from sweeps.trial.measured_pack import measure_pack, parameter_counts
from sweeps.trial.phase_timer import PhaseTimer


@pytest.fixture
def context_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[SweepConfig], TrialContext]:
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "home"))

    def make(config: SweepConfig) -> TrialContext:
        dataset = load_dataset(config)
        arrays = DataArrays.from_dict(dataset.arrays)
        return TrialContext(config, arrays, dataset.references, SweepFolder(tmp_path / "unused"), dataset.column_mean)

    return make


def test_a_stack_is_measured_phase_by_phase_however_long_and_however_it_stops(
    context_of: Callable[[SweepConfig], TrialContext], tmp_path: Path
) -> None:
    config = load(
        {
            "name": "stack",
            "data": {"name": "digits"},
            "model": {
                "name": "stacked_denoising",
                "hidden_sizes": [16, 8],
                "pretraining": {"epochs": 500, "batch_size": 4},
            },
            "training": {"epochs": 1000, "batch_size": 4, "patience": 1},
            "search": {"model.weight_l1": {"loguniform": [1e-6, 1e-2]}},
            "objective": {"metric": "valid/classification_error"},
            "stopping": {"name": "asha"},
            "execution": "packed",
            "budget": {"trials": 2},
        }
    )
    points = {"0000": {"model.weight_l1": 1e-6}, "0001": {"model.weight_l1": 1e-3}}
    measured = measure_pack(points, context_of(config), time.time())
    assert measured.failures == ()
    assert [phase.index for phase in measured.phases] == [0, 1, 2]
    lengths = [len(phase.epochs) for phase in measured.phases]
    assert lengths in ([2, 2, 4], [2, 2, 2])  # two epochs on a slow machine; neither patience nor a rung ended it
    n_steps = -(-context_of(config).arrays.train.inputs.shape[0] // 4)
    assert all(phase.n_steps == n_steps for phase in measured.phases)
    assert all(0 < epoch.n_steps <= n_steps for phase in measured.phases for epoch in phase.epochs)
    assert all(epoch.step_seconds > 0 for phase in measured.phases for epoch in phase.epochs)
    assert list(measured.epochs) == [1000, 1000]
    assert measured.disk_bytes > 1000
    assert measured.n_figures > 1
    assert not (tmp_path / "unused").exists()  # a quote leaves nothing in a sweep's folder


def test_a_timer_limits_the_steps_of_an_epoch(context_of: Callable[[SweepConfig], TrialContext]) -> None:
    from sweeps.trial.pack import train_points

    config = load("quickstart", {"training.epochs": 2, "budget.trials": 2})
    timer = PhaseTimer({0: 3})
    context = replace(context_of(config), timer=timer)
    train_points({"0000": {"model.hidden_size": 8}}, context, lambda *_: None)
    (phase,) = timer.phases
    assert (phase.n_steps, [epoch.n_steps for epoch in phase.epochs]) == (12, [3, 3])


def test_parameters_are_those_of_the_network(context_of: Callable[[SweepConfig], TrialContext]) -> None:
    context = context_of(load("quickstart"))
    counts = parameter_counts([{"model.hidden_size": 16}, {"model.hidden_size": 64}], context)
    assert counts == [2 * 64 * n + n + 64 for n in (16, 64)]  # weights of both layers, and biases

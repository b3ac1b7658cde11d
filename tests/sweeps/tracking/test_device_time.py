"""Device time: counted while packs run, recorded in the journal, and part of the budget."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import SweepConfig
from sweeps.models.metric_table import SWEEP_METRICS
from sweeps.tracking.device_time import DEVICE_HOURS, Budgets, DeviceTime, device_hours_left, device_hours_spent
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord, SweepState


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["start", "stop"]), st.floats(0, 100)), max_size=30),
    st.sampled_from([0.25, 1.0, 4.0]),
    st.floats(0, 1000),
)
def test_device_seconds_are_the_time_in_which_packs_run_times_their_devices(
    steps: list[tuple[int, str, float]], devices: float, spent: float
) -> None:
    clock = Clock()
    counted = DeviceTime(devices, spent, clock)
    running: set[int] = set()
    expected = spent
    for pack, step, pause in steps:
        if step == "start":
            counted.start(str(pack))
            running.add(pack)
        else:
            counted.stop(str(pack))
            running.discard(pack)
        clock.now += pause
        expected += pause * devices * len(running)
    assert counted.seconds == pytest.approx(expected)
    assert counted.hours == pytest.approx(expected / 3600)


def test_device_time_is_recorded_once_a_minute() -> None:
    clock = Clock()
    counted = DeviceTime(1.0, clock=clock)
    due = []
    for clock.now in range(0, 181, 30):
        due.append(counted.is_due)
    assert due == [False, False, True, False, True, False, True]


@pytest.fixture
def journal(tmp_path: Path, small_sweep: Callable[..., SweepConfig]) -> Journal:
    config = small_sweep(budget={"trials": 2, "device_hours": 1.0})
    return Journal.create(tmp_path / "journal.db", SweepRecord("s-1", "s", "s", config.to_dict(), 1_000))


def test_device_hours_of_all_starts_count_also_of_one_that_was_lost(
    journal: Journal, small_sweep: Callable[..., SweepConfig]
) -> None:
    config = small_sweep(budget={"trials": 2, "device_hours": 1.0})
    assert device_hours_spent(journal) == 0
    journal.record_progress(0, {"device_hours": 0.25}, 2_000)  # and then the process was lost
    assert device_hours_spent(journal) == 0.25
    journal.resume_sweep(None, {}, 3_000)
    assert device_hours_left(config, journal) == 0.75
    journal.end_sweep(SweepState.INTERRUPTED, "", {"sweeps.device_hours": "0.75"}, 4_000)
    journal.resume_sweep(config.to_dict(), {}, 5_000)  # extended: what was spent counts
    assert device_hours_left(config, journal) == 0.25
    assert Budgets(config, journal, devices=1.0).device_time.hours == 0.75


def test_the_budget_that_is_used_up_first_is_named(
    journal: Journal, small_sweep: Callable[..., SweepConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("sweeps.tracking.device_time.time.monotonic", clock)
    budgets = Budgets(small_sweep(budget={"trials": 2, "seconds": 10, "device_hours": 1.0}), journal, devices=720)
    budgets.device_time = DeviceTime(720, clock=clock)
    budgets.device_time.start("pack")
    clock.now = 4.9
    assert not budgets.are_used_up()
    clock.now = 5.0  # 720 devices for 5 s are an hour
    assert budgets.are_used_up()
    clock.now = 20.0
    assert budgets.are_used_up()
    assert budgets.ended_by == "budget.device_hours"


def test_the_metric_of_the_parent_run_is_explained() -> None:
    assert DEVICE_HOURS in SWEEP_METRICS

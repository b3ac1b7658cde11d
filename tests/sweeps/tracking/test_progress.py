"""The counters behind the live view."""

import math

import pytest

from sweeps.config import ObjectiveConfig
from sweeps.config.objective import Direction
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage
from sweeps.tracking.trial_progress import MAX_CURVE_VALUES

START = 1_000_000


def progress(n_points: int = 4, n_epochs: int = 10, *, n_at_once: int = 1, packs: bool = False) -> Progress:
    objective = ObjectiveConfig(metric="valid/mse")
    return Progress("small-1", n_points, n_epochs, objective, n_at_once=n_at_once, packs=packs)


def train(counted: Progress, point_id: str, n_epochs: int, *, seconds: float, start_ms: int = START) -> None:
    """Report the start of a point's training, and each of its epochs of so many seconds."""
    counted.point_started(point_id, at_ms=start_ms)
    for epoch in range(n_epochs + 1):
        at_ms = start_ms + round(epoch * seconds * 1000)
        counted.worker_ready("host:1", at_ms)
        counted.epoch_ended(point_id, epoch, {"valid/mse": 1 / (epoch + 1)} if epoch else {}, at_ms, "host:1")


def test_counts_add_up_to_all_points() -> None:
    counted = progress()
    for point_id in ("a", "b", "c"):
        counted.point_started(point_id)
    counted.point_ended("a", PointState.FINISHED)
    counted.point_ended("b", PointState.FAILED)
    assert (counted.n_ended, len(counted.running), counted.n_to_come) == (2, 1, 1)


def test_best_so_far_is_the_lowest_error_and_never_nan() -> None:
    counted = progress()
    for point_id, value in (("a", math.nan), ("b", 2.0), ("c", 1.0), ("d", 3.0)):
        counted.point_started(point_id)
        counted.epoch_ended(point_id, 1, {"valid/mse": value})
    assert (counted.best_point, counted.best_value) == ("c", 1.0)


@pytest.mark.parametrize(("direction", "expected"), [("minimize", ["b", "c"]), ("maximize", ["d", "c"])])
def test_leaders_come_best_first_without_failed_trials(direction: Direction, expected: list[str]) -> None:
    counted = Progress("small-1", 4, 10, ObjectiveConfig(metric="valid/dead_units", direction=direction))
    for point_id, value in (("a", 0.0), ("b", 1.0), ("c", 2.0), ("d", 3.0), ("e", 4.0)):
        counted.point_started(point_id, f"h={value}")
        counted.epoch_ended(point_id, 1, {"valid/dead_units": value})
    counted.point_ended("a", PointState.FAILED, "diverged")
    counted.point_ended("e", PointState.FAILED, "diverged")
    assert [trial.point_id for trial in counted.leaders(2)] == expected
    assert [failure.reason for failure in counted.failures] == ["diverged", "diverged"]


def test_a_trial_is_ranked_by_its_best_epoch_or_its_last() -> None:
    for at, expected in (("best", (1.0, 2)), ("last", (3.0, 3))):
        counted = Progress("small-1", 4, 10, ObjectiveConfig(metric="valid/mse", at=at))  # type: ignore[arg-type]
        counted.point_started("a")
        for epoch, value in ((1, 2.0), (2, 1.0), (3, 3.0)):
            counted.epoch_ended("a", epoch, {"valid/mse": value})
        (leader,) = counted.leaders(5)
        assert (leader.value, leader.best_epoch) == expected
        assert leader.curve == [2.0, 1.0, 3.0]


def test_a_curve_of_many_epochs_is_thinned_out() -> None:
    counted = progress(n_epochs=10_000)
    counted.point_started("a")
    for epoch in range(1, 10_001):
        counted.epoch_ended("a", epoch, {"valid/mse": float(epoch)})
    curve = counted.trials["a"].curve
    assert MAX_CURVE_VALUES / 2 <= len(curve) <= MAX_CURVE_VALUES
    assert curve == sorted(curve)


def test_epochs_of_running_trials_count_also_in_packs() -> None:
    counted = progress(packs=True)
    train(counted, "a", 3, seconds=1)
    train(counted, "b", 5, seconds=1)
    assert counted.epochs() == (8, 40)
    counted.point_ended("a", PointState.FINISHED)  # stopped early: its last epochs are done with
    assert counted.epochs() == (15, 40)
    counted.point_ended("b", PointState.KILLED)  # a resume trains the rest
    assert counted.epochs() == (15, 40)


def test_time_left_is_unknown_until_four_epochs_are_measured() -> None:
    counted = progress()
    counted.point_started("a", at_ms=START)
    counted.worker_ready("host:1", START + 9_000)
    for epoch in (0, 1, 2, 3):
        counted.epoch_ended("a", epoch, {}, START + 9_000 + epoch * 1000, "host:1")
        assert counted.seconds_left() is None
    counted.epoch_ended("a", 4, {}, START + 13_000, "host:1")
    assert counted.seconds_left() is not None


def test_time_left_is_the_measured_time_of_the_epochs_to_come_over_the_trials_at_once() -> None:
    counted = progress(n_points=5, n_at_once=2)
    train(counted, "a", 5, seconds=2)
    train(counted, "b", 5, seconds=2)
    # 5 epochs of the two that run, then 3 trials of 10 epochs in two rounds, of 2 s each.
    assert counted.seconds_left() == pytest.approx(10 + 40, abs=1)


def test_time_left_in_packs_counts_the_trials_that_train_together() -> None:
    counted = progress(n_points=8, packs=True)
    for point_id in "abcd":
        train(counted, point_id, 5, seconds=2)
    assert counted.seconds_left() == pytest.approx(10 + 20, abs=1)


def test_the_start_of_a_worker_is_no_part_of_an_epoch() -> None:
    counted = progress(n_points=1)
    counted.point_started("a", at_ms=START)
    counted.worker_ready("host:1", START + 60_000)
    for epoch in (0, 1, 2, 3, 4):
        counted.epoch_ended("a", epoch, {}, START + 60_000 + epoch * 1000, "host:1")
    assert counted.seconds_left() == pytest.approx(6, abs=1)


def test_epochs_of_an_earlier_start_are_not_measured() -> None:
    counted = progress(n_points=1)
    counted.point_started("a", at_ms=START)
    for epoch in (0, 1, 2, 3, 4):
        counted.epoch_ended("a", epoch, {}, START - 9_000 + epoch, "host:9")
    counted.worker_ready("host:1", START + 5_000)
    for epoch in (5, 6, 7, 8, 9):
        counted.epoch_ended("a", epoch, {}, START + epoch * 1000, "host:1")
    assert counted.seconds_left() == pytest.approx(1, abs=1)


def test_time_left_expects_trials_to_be_stopped_early_as_often_as_before() -> None:
    counted = progress(n_points=4)
    for point_id in "abc":
        train(counted, point_id, 2, seconds=1)
        counted.point_ended(point_id, PointState.FINISHED)
    assert counted.seconds_left() == pytest.approx(2, abs=1)


def test_time_left_is_no_longer_than_the_budget_and_nothing_at_the_end() -> None:
    counted = progress()
    train(counted, "a", 10, seconds=100)
    counted.deadline = 0.0
    assert counted.seconds_left() == 0
    counted.deadline = math.inf
    for point_id in "abcd":
        counted.point_started(point_id)
        counted.point_ended(point_id, PointState.FINISHED)
    assert counted.seconds_left() == 0


def test_steps_are_kept_once_in_order() -> None:
    counted = progress()
    for text in ("reading the data", "starting Ray", "starting Ray"):
        counted.enter(Stage.STARTING, text)
    counted.enter(Stage.TRAINING)
    assert [step.text for step in counted.steps] == ["reading the data", "starting Ray", "training"]
    assert counted.stage is Stage.TRAINING

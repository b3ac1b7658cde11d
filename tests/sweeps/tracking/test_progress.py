"""The counters behind the live table."""

import math

from rich.console import Console

from sweeps.cli.display.live import LiveView
from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress


def progress() -> Progress:
    return Progress("small-1", n_points=4, n_epochs=10, objective=ObjectiveConfig(metric="valid/mse"))


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


def test_time_left_is_unknown_at_the_start_and_nothing_at_the_end() -> None:
    counted = progress()
    assert counted.seconds_left() is None
    for point_id in "abcd":
        counted.point_started(point_id)
        counted.point_ended(point_id, PointState.FINISHED)
    assert counted.seconds_left() == 0


def test_live_table_shows_counts_and_best() -> None:
    counted = progress()
    counted.point_started("a")
    counted.epoch_ended("a", 1, {"valid/mse": 0.25})
    counted.point_started("b")
    counted.point_ended("b", PointState.FAILED)
    view, console = LiveView(), Console(width=100, record=True, file=None, force_terminal=False)
    view.watch(counted)
    with console.capture() as shown:
        console.print(view)
    text = shown.get()
    assert all(part in text for part in ("1 running", "1 failed", "2 to come", "valid/mse 0.25", "trial a"))

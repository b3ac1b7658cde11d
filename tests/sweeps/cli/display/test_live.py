"""What the live view shows, for terminals of several widths."""

import re

import pytest
from rich.console import Console

from sweeps.cli.display.announcements import MAX_FAILURES, Announcements, duration
from sweeps.cli.display.live import LiveView
from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage


def training(n_points: int = 4) -> Progress:
    """A sweep of which a trial runs in epoch 3, one has failed, and the others are to come."""
    progress = Progress("small-1", n_points, 10, ObjectiveConfig(metric="valid/mse"), packs=True)
    progress.enter(Stage.TRAINING)
    progress.cluster = "Ray started on this machine: 2 CPUs"
    progress.point_started("0000", "h=64 l1=1e-4 a long list of settings of this trial", at_ms=1_000)
    for epoch, value in ((1, 1.0), (2, 0.5), (3, 0.25)):
        progress.epoch_ended("0000", epoch, {"valid/mse": value}, 1_000 + epoch * 60_000, "host:1")
    progress.point_started("0001", "h=8")
    progress.point_ended("0001", PointState.FAILED, "the loss is not finite\nin epoch 2 " + "and so on " * 30)
    return progress


def drawn(progress: Progress, width: int) -> list[str]:
    view, console = LiveView(), Console(width=width, force_terminal=True, no_color=True)
    view.watch(progress)
    with console.capture() as shown:
        view.announce(console)
        console.print(view)
    return re.sub(r"\x1b\[[\d;]*m", "", shown.get()).splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_it_fits_the_terminal_and_shows_epochs_counts_and_leaders(width: int) -> None:
    lines = drawn(training(), width)
    text = " ".join(" ".join(lines).split())  # counts wrap in a very narrow terminal
    once = 3  # lines said once may be longer: the terminal wraps them, and they can be copied
    assert all(len(line) <= width for line in lines[once:])
    assert all(
        part in text for part in ("13/40", "1 running in packs", "1 failed", "2 to come", "0000", "0.25", "3/10")
    )
    assert "Ray started on this machine: 2 CPUs" in text
    assert ("h=64" in text) == (width >= 72)
    assert "█▃▁" in text
    assert "left" in text or width < 60


def test_a_failure_is_one_line_with_its_reason() -> None:
    lines = drawn(training(), 80)
    (failure,) = [line for line in lines if "failed:" in line]
    assert failure.startswith("trial 0001 (h=8) failed: the loss is not finite in epoch 2 and so on")
    assert failure.endswith("and so on")


def test_starting_is_shown_as_steps() -> None:
    progress = Progress("", 4, 10, ObjectiveConfig(metric="valid/mse"))
    progress.enter(Stage.STARTING, "reading the data")
    progress.enter(Stage.STARTING, "starting Ray")
    done, current = drawn(progress, 80)
    assert done.startswith("✓ reading the data")
    assert "starting Ray" in current
    assert "✓" not in current


def test_a_sweep_of_a_thousand_trials_takes_no_more_lines() -> None:
    progress = training(1000)
    for index in range(2, 1000):
        progress.point_started(f"{index:04d}", "h=8")
        progress.epoch_ended(f"{index:04d}", 1, {"valid/mse": 1.0 + index})
    progress.cluster = ""
    assert len(drawn(progress, 80)) == len(drawn(training(), 80)) + 3  # five leaders in place of one, and no cluster


def test_many_failures_do_not_fill_the_screen() -> None:
    progress = training()
    announced = Announcements(progress)
    progress.failures *= 500
    lines = [line.text for line in announced.new() + announced.new() if line.is_failure]
    assert len(lines) == MAX_FAILURES + 1
    assert lines[-1] == "more trials fail: `sweeps status small-1` lists them"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59.4, "59 s"), (60, "1 min"), (3_540, "59 min"), (7_500, "2 h 05 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words

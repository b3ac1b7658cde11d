"""What the live view shows, for terminals of several widths."""

import re

import pytest
from rich.console import Console, ConsoleDimensions

from sweeps.cli.display.announcements import MAX_FAILURES, Announcements, duration
from sweeps.cli.display.live import LiveView, live_view
from sweeps.config import ObjectiveConfig
from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage


def training(n_points: int = 4) -> Progress:
    """A sweep of which a trial runs in epoch 4, one has failed, and the others are to come."""
    progress = Progress("small-1", n_points, 10, ObjectiveConfig(metric="valid/mse"), packs=True)
    progress.enter(Stage.TRAINING)
    progress.cluster = "Ray started on this machine: 2 CPUs"
    progress.point_started("0000", "h=64 l1=1e-4 a long list of settings of this trial", at_ms=1_000)
    for epoch, value in ((1, 1.0), (2, 0.5), (3, 0.25), (4, 0.25)):
        progress.epoch_ended("0000", epoch, {"valid/mse": value}, 1_000 + epoch * 60_000, "host:1")
    progress.point_started("0001", "h=8")
    progress.point_ended("0001", PointState.FAILED, "the loss is not finite\nin epoch 2 " + "and so on " * 30)
    return progress


def plain(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()]


def drawn(progress: Progress, width: int) -> list[str]:
    view, console = LiveView(), Console(width=width, height=24, force_terminal=True, no_color=True)
    view.watch(progress)
    with console.capture() as shown:
        view.announce(console)
        console.print(view)
    return plain(shown.get())


def view_of(progress: Progress, width: int, height: int) -> list[str]:
    """Return the lines of the view alone."""
    view, console = LiveView(), Console(width=width, height=height, force_terminal=True, no_color=True)
    view.watch(progress)
    with console.capture() as shown:
        console.print(view)
    return plain(shown.get())


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_it_fits_the_terminal_and_shows_epochs_counts_and_leaders(width: int) -> None:
    lines = drawn(training(), width)
    text = " ".join(" ".join(lines).split())  # counts wrap in a very narrow terminal
    once = 3  # lines said once may be longer: the terminal wraps them, and they can be copied
    assert all(len(line) <= width for line in lines[once:])
    assert all(
        part in text for part in ("14/40", "1 running in packs", "1 failed", "2 to come", "0000", "0.25", "4/10")
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


def busy(n_running: int) -> Progress:
    """A sweep of which so many trials run, some have ended, and records wait for MLflow."""
    progress = training(1000)
    for index in range(2, n_running + 1):
        progress.point_started(f"{index:04d}", f"h={index}")
        progress.epoch_ended(f"{index:04d}", 1, {"valid/mse": 1.0 + index})
    progress.delivery = lambda: DeliveryProgress(120, 30)
    return progress


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [2, 5, 8, 12, 24, 60])
def test_it_leaves_the_last_line_of_each_terminal_to_the_cursor(width: int, height: int) -> None:
    lines = view_of(busy(400), width, height)
    assert len(lines) <= height - 1
    assert all(len(line) <= width for line in lines)
    if height >= 24:
        assert len(lines) == height - 1
        assert sum(line.startswith("0") for line in lines) >= height - 9


def test_it_says_how_many_running_trials_it_does_not_show() -> None:
    lines = view_of(busy(24), 80, 24)
    shown = lines[lines.index("running") + 1 : lines.index("best so far")]
    assert shown[-1] == f"and {24 - len(shown) + 1} more"
    assert [line[:4] for line in shown[:2]] == ["0000", "0002"]
    assert not any("more" in line for line in view_of(busy(4), 80, 24))


def test_it_follows_the_size_of_the_terminal() -> None:
    view, console = LiveView(), Console(width=100, height=30, force_terminal=True, no_color=True)
    view.watch(busy(100))
    for width, height in ((100, 30), (50, 12), (160, 40)):
        console.size = ConsoleDimensions(width, height)
        with console.capture() as shown:
            console.print(view)
        lines = plain(shown.get())
        assert (len(lines), max(map(len, lines))) == (height - 1, width)


def test_a_running_trial_shows_its_newest_value_and_a_leader_its_best() -> None:
    progress = training()
    progress.epoch_ended("0000", 5, {"valid/mse": 0.75})
    lines = view_of(progress, 80, 24)
    assert "0.75" in lines[lines.index("running") + 1]
    assert "0.25" in lines[lines.index("best so far") + 1]


def test_delivery_is_one_line() -> None:
    progress = training()
    assert not any("MLflow" in line for line in view_of(progress, 80, 24))
    progress.delivery = lambda: DeliveryProgress(120, 0)
    assert view_of(progress, 80, 24)[-1] == "MLflow: 120 records delivered"
    progress.delivery = lambda: DeliveryProgress(120, 30, 2)
    assert view_of(progress, 80, 24)[-1] == "MLflow: 120 records delivered, 30 waiting, 2 refused"
    progress.delivery = lambda: DeliveryProgress(120, 30, 0, "no\nanswer", 1e9)
    line = view_of(progress, 200, 24)[-1]
    assert re.fullmatch(
        r"MLflow: unreachable since \d\d:\d\d:\d\d, 30 records waiting, nothing lost \(no answer\)",
        line,
    )


def test_colors_are_left_out_where_none_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(width=80, height=24, force_terminal=True)
    view = LiveView()
    view.watch(busy(4))
    with console.capture() as shown:
        console.print(view)
    assert not re.search(r"\x1b\[[\d;]*3\dm", shown.get())


def test_a_terminal_without_cursor_moves_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as Rich sees it
    with live_view() as watch:
        watch(busy(4))
    assert capsys.readouterr().err == ""


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

"""What a log shows of a sweep."""

from polling import wait_until

from sweeps.cli.display.progress_log import log_progress
from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress


def test_a_log_has_the_id_at_once_and_a_line_whenever_something_has_changed() -> None:
    lines: list[str] = []
    progress = Progress("small-1", 4, 10, ObjectiveConfig(metric="valid/mse"), n_at_once=2, packs=True)
    with log_progress(lines.append, seconds_between_lines=0.01) as watch:
        wait_until(lambda: lines == ["loading data, connecting to Ray"])
        watch(progress)
        assert lines[1] == "small-1: 4 trials in packs, 2 at once"
        wait_until(lambda: lines[2:] == ["0 of 4 trials ended, 0 failed, 0 running"])
        progress.point_started("0000")
        progress.epoch_ended("0000", 1, {"valid/mse": 0.5})
        wait_until(lambda: lines[-1] == "0 of 4 trials ended, 0 failed, 1 running, best valid/mse 0.5 (trial 0000)")
        progress.point_ended("0000", PointState.FAILED)
        wait_until(lambda: lines[-1].startswith("1 of 4 trials ended, 1 failed, 0 running"))
    assert len(lines) == len(set(lines))

"""What a log shows of a sweep."""

from polling import wait_until

from sweeps.cli.display.progress_log import log_progress
from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage


def test_a_log_has_what_is_said_once_and_a_line_whenever_something_has_changed() -> None:
    lines: list[str] = []
    progress = Progress("", 4, 10, ObjectiveConfig(metric="valid/mse"), n_at_once=2, packs=True)
    progress.enter(Stage.STARTING, "reading the data")
    with log_progress(lines.append, seconds_between_lines=0.01) as watch:
        watch(progress)
        progress.enter(Stage.STARTING, "starting Ray")
        wait_until(lambda: lines == ["reading the data ...", "starting Ray ..."])
        progress.sweep_id, progress.cluster = "small-1", "Ray started on this machine: 2 CPUs"
        progress.where_to_look = lambda: "MLflow runs: http://tracker/#/experiments/1"
        progress.enter(Stage.TRAINING)
        wait_until(lambda: lines[-1] == "0 of 4 trials ended, 0 failed, 0 running, 0 of 40 epochs")
        assert lines[2:-1] == [
            "Ray started on this machine: 2 CPUs",
            "small-1: 4 trials in packs, 2 at once",
            "MLflow runs: http://tracker/#/experiments/1",
        ]
        progress.point_started("0000", "h=8")
        progress.epoch_ended("0000", 1, {"valid/mse": 0.5})
        best = "best valid/mse 0.5 (trial 0000, epoch 1)"
        wait_until(lambda: lines[-1] == f"0 of 4 trials ended, 0 failed, 1 running, 1 of 40 epochs, {best}")
        progress.point_ended("0000", PointState.FAILED, "the loss is not finite")
        wait_until(lambda: lines[-1].startswith("1 of 4 trials ended, 1 failed, 0 running"))
        assert "trial 0000 (h=8) failed: the loss is not finite" in lines
        progress.enter(Stage.DELIVERING)
    assert lines[-1] == "delivering to MLflow ..."
    assert len(lines) == len(set(lines))

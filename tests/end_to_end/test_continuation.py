"""Sweeps that go on: after a lost driver, after `stop`, and with more trials than before."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from sweeps.config import load
from sweeps.search.searchers import point_searcher
from sweeps.tracking.journal.records import PointState

pytestmark = pytest.mark.slow

SIZES = {"model.hidden_size": {"grid": [8, 12, 16]}}


def snapshots(home: Any, sweep_id: str) -> dict[Path, int]:
    """When the arrays of each point were written: those of an epoch are written again where it is trained again."""
    folder = home.path / "sweeps" / sweep_id / "points"
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/snapshot-*.npz")}


def has_one_finished_and_one_well_on(home: Any) -> bool:
    sweep_id = home.only_sweep()
    points = home.points(sweep_id) if sweep_id else []
    if not any(point.state is PointState.FINISHED for point in points):
        return False
    with home.journal(sweep_id) as journal:
        return any(40 < len(journal.history(p.point_id)) < 150 for p in points if p.state is PointState.RUNNING)


def test_a_sweep_whose_driver_is_killed_is_resumed_and_nothing_is_lost_doubled_or_trained_again(
    home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any]
) -> None:
    process = home.start("run", sweep_file(training=long_training, search=SIZES, algorithm={"name": "grid"}), "--json")
    home.wait_until(process, lambda: has_one_finished_and_one_well_on(home))
    process.kill()
    process.communicate()
    sweep_id = home.only_sweep()
    before, run_ids = snapshots(home, sweep_id), {p.point_id: p.run_id for p in home.points(sweep_id) if p.run_id}
    finished = [p.point_id for p in home.points(sweep_id) if p.state is PointState.FINISHED]
    assert home.run_json("status", sweep_id)["state"] == "INTERRUPTED"

    printed = home.run_json("resume", sweep_id)
    assert (printed["state"], printed["trials"], printed["failed"], printed["undelivered"]) == ("FINISHED", 3, 0, 0)
    for point in home.points(sweep_id):
        with home.journal(sweep_id) as journal:
            assert [epoch for epoch, _ in journal.history(point.point_id)] == list(range(1, 151))
        assert run_ids.get(point.point_id, point.run_id) == point.run_id
        shown = images(home, point.run_id)
        assert len(shown) == len(set(shown)) >= 2 * 10  # epochs 0, 1, 2, 4, ... 128, 150
    recorded, stored = home.recorded_and_stored(sweep_id)
    assert stored == recorded
    assert home.statuses("small") == ["FINISHED"] * 3
    home.check_winner(sweep_id)

    # Nothing that the first driver had trained is trained again, but what a point did after its last checkpoint.
    after = snapshots(home, sweep_id)
    again = {path for path in before if after[path] != before[path]}
    # The last kept epoch has a snapshot, and with it the best one up to then.
    by_point = [[path for path in before if path.parent == folder] for folder in {path.parent for path in before}]
    last = {path for paths in by_point for path in sorted(paths, key=before.__getitem__)[-2:]}
    assert again <= {path for path in last if path.parent.name not in finished}


def images(home: Any, run_id: str) -> list[str]:
    """The key and step of each image of a run, as often as MLflow's image grid finds it."""
    names = [artifact.path.split("+") for artifact in MlflowClient(home.uri).list_artifacts(run_id, "images")]
    return [f"{name[0]}+{name[2]}" for name in names if name[-1] != "compressed.webp"]


def test_stop_ends_a_sweep_cleanly_and_resume_goes_on_for_one_process_at_a_time(
    home: Any, sweep_file: Callable[..., str], long_training: dict[str, Any]
) -> None:
    process = home.start("run", sweep_file(training=long_training | {"epochs": 500}), "--json")
    home.wait_for_epochs(process, 40)
    sweep_id = home.only_sweep()
    assert home.run_json("stop", sweep_id)["state"] == "INTERRUPTED"
    assert process.wait(timeout=120) == 130
    assert home.statuses("small") == ["KILLED"]

    first = home.start("resume", sweep_id, "--json")
    home.wait_until(first, lambda: home.points(sweep_id)[0].state is PointState.RUNNING)
    (fault,) = home.run_json("resume", sweep_id, status=2)["errors"]
    assert f"process {first.pid} on " in fault
    assert f"sweeps stop {sweep_id}" in fault
    output, errors = first.communicate(timeout=240)
    assert first.returncode == 0, errors
    assert json.loads(output)["state"] == "FINISHED"
    recorded, stored = home.recorded_and_stored(sweep_id)
    assert stored == recorded
    assert home.statuses("small") == ["FINISHED"]


def test_an_extended_sweep_goes_on_with_the_points_that_a_longer_one_would_have_had(
    home: Any, sweep_file: Callable[..., str]
) -> None:
    path = sweep_file(
        search={"training.learning_rate": {"loguniform": [1e-3, 1e-1]}},
        algorithm={"name": "tpe", "batch_size": 2},
        budget={"trials": 2},
    )
    sweep_id = home.run_json("run", path)["sweep"]
    printed = home.run_json("extend", sweep_id, "--trials", "2")
    assert (printed["state"], printed["trials"], printed["to_come"], printed["undelivered"]) == ("FINISHED", 4, 0, 0)
    points = home.points(sweep_id)
    longer = point_searcher(load(path, ["budget.trials=4"]))
    asked = longer.ask(2)
    with home.journal(sweep_id) as journal:
        for proposal in asked:
            values = [metrics["valid/mse"] for _, metrics in journal.history(f"{proposal.index:04d}")]
            longer.tell(proposal.index, [min(values)])
    assert [point.point for point in points] == [proposal.point for proposal in [*asked, *longer.ask(2)]]
    assert home.statuses("small") == ["FINISHED"] * 4
    home.check_winner(sweep_id)
    (fault,) = home.run_json("resume", sweep_id, status=2)["errors"]
    assert "sweeps extend" in fault

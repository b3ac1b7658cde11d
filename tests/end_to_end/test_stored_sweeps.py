"""Sweeps that version 0.1.0 stored, before the packages were rearranged: ranked, resumed, promoted and deleted today.

`tests/fixtures/sweeps-0.1.0.tar.gz` holds two sweep folders as that version left them: `finished`, four trials in
packs, and `interrupted`, three stacked trials of which one has ended and one has a checkpoint.
"""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from malicious import Malicious
from mlflow import MlflowClient

from sweeps.tracking.journal.records import PointState

pytestmark = pytest.mark.slow

STORED = Path(__file__).parents[1] / "fixtures" / "sweeps-0.1.0.tar.gz"
FINISHED, INTERRUPTED = "finished-20261130-112751-2102", "interrupted-20261130-112944-f228"


@pytest.fixture
def stored(home: Any) -> Any:
    """A home with the stored sweeps; their runs are in a store that is gone, so that the new one gets them again."""
    with tarfile.open(STORED) as archive:
        archive.extractall(home.path, filter="data")
    return home


def test_a_stored_sweep_is_listed_and_ranked_as_it_was(stored: Any) -> None:
    listed = {sweep["sweep"]: sweep for sweep in stored.run_json("list")["sweeps"]}
    assert {(sweep["sweep"], sweep["state"], sweep["trials"]) for sweep in listed.values()} == {
        (FINISHED, "FINISHED", 4),
        (INTERRUPTED, "INTERRUPTED", 2),
    }
    ranking = stored.run_json("best", FINISHED)["ranking"]
    with stored.journal(FINISHED) as journal:
        errors = {p.point_id: min(m["valid/mse"] for _, m in journal.history(p.point_id)) for p in journal.points()}
    assert [trial["trial"] for trial in ranking] == sorted(errors, key=errors.__getitem__)
    assert [trial["metrics"]["valid/mse"] for trial in ranking] == sorted(errors.values())
    assert stored.run_json("diagnose", f"{FINISHED}/0000")["diagnosis"]


def test_a_stored_sweep_resumes_to_what_it_would_have_been(stored: Any, tmp_path: Path) -> None:
    before = {point.point_id: point.state for point in stored.points(INTERRUPTED)}
    assert before == {"0000": PointState.FINISHED, "0001": PointState.KILLED}
    printed = stored.run_json("resume", INTERRUPTED)
    assert (printed["state"], printed["trials"], printed["failed"], printed["undelivered"]) == ("FINISHED", 3, 0, 0)

    config = tmp_path / "fresh.yaml"
    config.write_text((stored.path / "sweeps" / INTERRUPTED / "sweep.yaml").read_text())
    fresh = stored.run_json("run", str(config), "--set", "experiment=fresh")["sweep"]
    with stored.journal(INTERRUPTED) as old, stored.journal(fresh) as new:
        for point in new.points():
            assert old.history(point.point_id) == new.history(point.point_id), point.point_id
    recorded, delivered = stored.recorded_and_stored(INTERRUPTED)
    assert delivered == recorded
    stored.check_winner(INTERRUPTED)


def test_a_trial_of_a_stored_sweep_is_evaluated_promoted_and_its_sweep_deleted(stored: Any) -> None:
    measured = stored.run_json("evaluate", FINISHED)
    assert set(measured["metrics"]) >= {"test/mse", "test/r2"}
    assert stored.run_json("sync", FINISHED)["undelivered"] == 0
    # The networks of three epochs are no better than the mean: the gates say so, and --force promotes all the same.
    promoted = stored.run_json("promote", FINISHED, "--model", "stored", "--first", "--force")
    version = MlflowClient(stored.uri).get_model_version_by_alias("stored", "champion")
    assert (str(version.version), version.tags["sweeps.sweep"]) == (str(promoted["version"]), FINISHED)
    assert json.loads(version.tags["sweeps.gates"])
    stored.run_json("delete", FINISHED, "--force")
    assert not (stored.path / "sweeps" / FINISHED).exists()


def test_malicious_pickles_in_stored_sweeps_run_nothing(stored: Any, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    best = stored.path / "sweeps" / FINISHED / "points" / "0000" / "best.pt"
    checkpoint = stored.path / "sweeps" / INTERRUPTED / "points" / "0001" / "last.ckpt"
    for path in (best, checkpoint):
        torch.save(torch.load(path, weights_only=True) | {"more": Malicious(marker)}, path)
    for command in ("evaluate", "promote"):
        options = () if command == "evaluate" else ("--model", "stored", "--first", "--force")
        done = stored.sweeps(command, f"{FINISHED}/0000", *options)
        assert done.returncode == 2
        assert f"{best} must be a network saved by this package" in done.stderr.splitlines()[-1]
    printed = stored.run_json("resume", INTERRUPTED, status=3)
    assert (printed["state"], printed["trials"], printed["failed"]) == ("FINISHED", 3, 1)
    (refused,) = (point for point in stored.points(INTERRUPTED) if point.state is PointState.FAILED)
    assert (refused.point_id, f"{checkpoint} must be a checkpoint" in refused.reason) == ("0001", True)
    assert not marker.exists()

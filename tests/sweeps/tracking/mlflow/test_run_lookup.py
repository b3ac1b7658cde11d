"""Sweeps found by their runs alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.errors import TrackingError, UnknownSweep
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.run_lookup import find_tracked, list_tracked
from sweeps.tracking.mlflow.shipper import sync

pytestmark = pytest.mark.slow

WriteJournal = Callable[..., Journal]


def test_a_sweep_is_found_by_its_runs_in_whichever_experiment(write_journal: WriteJournal, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert list_tracked(uri) == []
    for sweep_id, ended in (("done", True), ("going", False)):
        journal = write_journal(sweep_id, n_points=2, experiment=f"of {sweep_id}", ended=ended)
        assert sync(journal, uri, journal.path.parent, 60).error is None
    assert {(sweep.sweep, sweep.state) for sweep in list_tracked(uri)} == {("done", "FINISHED"), ("going", "RUNNING")}
    found = find_tracked(uri, "done")
    assert found is not None
    assert (found.state, found.trials, found.started_ms) == ("FINISHED", {"FINISHED": 2}, 1_700_000_000_000)
    assert find_tracked(uri, "nowhere") is None


def test_a_sweep_is_found_by_a_unique_prefix_of_its_id(write_journal: WriteJournal, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for sweep_id in ("small-1", "small-12", "large-1"):
        journal = write_journal(sweep_id, n_points=1)
        assert sync(journal, uri, journal.path.parent, 60).error is None
    found = {part: find_tracked(uri, part) for part in ("large", "small-12", "small-1", "sm%", "l' OR '")}
    ids = {part: sweep and sweep.sweep for part, sweep in found.items()}
    expected = {"large": "large-1", "small-12": "small-12", "small-1": "small-1"}
    assert ids == expected | dict.fromkeys(("sm%", "l' OR '"))
    with pytest.raises(UnknownSweep, match=r"may mean 2 in MLflow: small-1, small-12"):
        find_tracked(uri, "small")


def test_the_newest_sweep_is_found_by_latest_or_its_name(write_journal: WriteJournal, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    old, new, other = (
        f"{name}-2026010{day}-000000-abcd" for day, name in enumerate(("my-own", "my-own", "a"), start=1)
    )
    for sweep_id in (new, other, old):
        journal = write_journal(sweep_id, n_points=1)
        assert sync(journal, uri, journal.path.parent, 60).error is None
    found = {typed: find_tracked(uri, typed) for typed in ("my_own", "latest", old)}
    assert {typed: sweep and sweep.sweep for typed, sweep in found.items()} == {
        "my_own": new,
        "latest": other,
        old: old,
    }


def test_a_store_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(TrackingError, match="does not answer") as refusal:
        list_tracked("http://someone:planted@127.0.0.1:9")
    assert "planted" not in str(refusal.value)

"""The sweep and the store that `sweeps ui` opens."""

from pathlib import Path

import pytest

from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
from sweeps.tracking.mlflow.ui import newest_sweep

STORE = "postgresql://host/mlflow"


@pytest.fixture
def sweeps(own_home: Path) -> None:
    """Two sweeps with runs in the store, then one with runs in another, one without runs and an unreadable one."""
    stored = [("20260101", STORE, "1"), ("20260102", STORE, "2"), ("20260103", "sqlite:///other.db", "3")]
    for day, store, experiment_id in [*stored, ("20260104", None, None)]:
        folder = SweepFolder(own_home / "sweeps" / f"small-{day}-000000-abcd")
        with Journal.create(folder.journal, SweepRecord(folder.id, "small", "small", {}, 0)) as journal:
            if store is not None and experiment_id is not None:
                journal.delivery.deliver_to(store)
                journal.delivery.set_experiment_id(experiment_id)
    damaged = SweepFolder(own_home / "sweeps" / "small-20260105-000000-abcd")
    damaged.journal.parent.mkdir()
    damaged.journal.write_bytes(b"no journal")


@pytest.mark.usefixtures("sweeps")
@pytest.mark.parametrize(
    ("uri", "day"),
    [("postgresql://me:hunter2@host/mlflow", 2), ("sqlite:///other.db", 3), (None, 3), ("sqlite:///empty.db", None)],
)
def test_it_is_the_newest_sweep_in_the_store_or_in_any(uri: str | None, day: int | None) -> None:
    newest = newest_sweep(uri)
    assert (newest and newest.id) == (day and f"small-2026010{day}-000000-abcd")

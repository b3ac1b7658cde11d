"""A sweep whose driver is killed and whose journal is lost with it: the folder alone tells it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.segments import read_segments

pytestmark = pytest.mark.slow

# One ends while the other has long to go.
LENGTHS = {"training.epochs": {"grid": [60, 1000]}}


def committed_ends(folder: SweepFolder) -> set[str | None]:
    return {point_id for _, kind, point_id, *_ in read_segments(folder.segments).rows if kind == "point_end"}


def n_epochs(home: Any, folder: SweepFolder) -> int:
    with home.journal(folder.id) as journal:
        return sum(len(journal.history(point.point_id)) for point in journal.points())


def lose(folder: SweepFolder) -> None:
    for path in folder.path.glob("journal.db*"):
        path.unlink()


def truncate(folder: SweepFolder) -> None:
    for path in folder.path.glob("journal.db*"):  # what is recorded may all be in the write-ahead log
        path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("spoil", [lose, truncate])
def test_a_killed_sweep_without_its_journal_is_resumed_from_its_segments(
    home: Any, sweep_file: Callable[..., str], spoil: Callable[[SweepFolder], None]
) -> None:
    training = {"epochs": 60, "probe_samples": 0}
    process = home.start("run", sweep_file(training=training, search=LENGTHS, algorithm={"name": "grid"}), "--json")
    home.wait_until(process, lambda: home.only_sweep() is not None)
    folder = SweepFolder(home.path / "sweeps" / home.only_sweep())

    home.wait_until(process, lambda: committed_ends(folder) == {"0000"} and n_epochs(home, folder) > 60 + 70)
    process.kill()
    process.communicate()
    committed = list(read_segments(folder.segments).rows)
    trained = {path: path.stat().st_mtime_ns for path in written_by(folder, "0000")}
    spoil(folder)

    told = home.sweeps("status", folder.id, "--json")
    assert told.returncode == 0
    assert f"{len(committed)} entries from the segments" in told.stderr
    assert home.run_json("best", folder.id)["ranking"]

    printed = home.run_json("resume", folder.id)
    assert (printed["state"], printed["trials"], printed["failed"], printed["undelivered"]) == ("FINISHED", 2, 0, 0)
    with home.journal(folder.id) as journal:
        assert journal.rows(1, len(committed)) == committed
        for point in journal.points():
            assert [epoch for epoch, _ in journal.history(point.point_id)] == list(
                range(1, 1 + point.point["training.epochs"])
            )
    recorded, stored = home.recorded_and_stored(folder.id)
    assert stored == recorded
    assert home.statuses("small") == ["FINISHED"] * 2
    assert {path: path.stat().st_mtime_ns for path in trained} == trained

    # What the sweep has left tells it whole, also to somebody who has never seen its journal.
    copy = type(home)(home.path / "copy")
    shutil.copytree(folder.path, copy.path / "sweeps" / folder.id, ignore=shutil.ignore_patterns("journal.db*"))
    assert copy.run_json("best", folder.id)["ranking"] == home.run_json("best", folder.id)["ranking"]


def written_by(folder: SweepFolder, point_id: str) -> list[Path]:
    """What training writes: it is written again where a point is trained again."""
    point = folder.point(point_id)
    return [point.best_network, *point.path.glob("snapshot-*.npz")]

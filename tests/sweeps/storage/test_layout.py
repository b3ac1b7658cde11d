"""Where a sweep's files lie."""

import errno
import re
from pathlib import Path

import pytest

from sweeps.errors import InputError, UnknownSweep
from sweeps.storage import layout


def make(name: str) -> layout.SweepFolder:
    folder = layout.create(name)
    folder.journal.touch()
    return folder


def test_id_is_name_time_and_four_hex_digits() -> None:
    assert re.fullmatch(r"my-sweep-\d{8}-\d{6}-[0-9a-f]{4}", layout.create("My sweep").id)


def test_two_sweeps_with_one_name_have_different_folders() -> None:
    assert make("same").path != make("same").path


def test_a_sweep_is_found_by_a_prefix_of_its_id() -> None:
    folder = make("blobs")
    assert layout.find("blobs") == layout.find(folder.id) == folder


def test_a_prefix_of_several_ids_is_refused_with_those_ids() -> None:
    both = sorted([make("blobs").id, make("blobs").id])
    with pytest.raises(UnknownSweep, match=", ".join(both)):
        layout.find("blob")
    with pytest.raises(UnknownSweep, match=", ".join(both)):
        layout.find("blobs", newest=False)


def test_a_name_or_latest_finds_the_newest_sweep() -> None:
    stamps = {"20260102-000000": "blobs", "20260103-000000": "digits", "20260101-000000": "blobs"}
    for stamp, name in stamps.items():
        layout.create(name, f"{name}-{stamp}-abcd").journal.touch()
    assert layout.find("blobs").id == "blobs-20260102-000000-abcd"
    assert layout.find("latest").id == "digits-20260103-000000-abcd"
    with pytest.raises(UnknownSweep, match=r"must be the id .* the newest is digits-20260103-000000-abcd"):
        layout.find("latest", newest=False)


def test_an_unknown_id_is_refused_with_the_closest_id() -> None:
    folder = make("quickstart")
    with pytest.raises(UnknownSweep, match=folder.id):
        layout.find(folder.id[:-1] + "x")


def test_an_id_outside_the_folder_is_refused() -> None:
    with pytest.raises(UnknownSweep):
        layout.find("../../etc")


def test_folder_without_a_journal_is_no_sweep() -> None:
    layout.create("half-made")
    assert layout.all_folders() == []


def test_the_journal_of_a_sweep_on_a_shared_volume_lies_where_the_environment_says(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPS_LOCAL", str(tmp_path))
    folder = make("shared")
    assert folder.journal == tmp_path / "journals" / folder.id / "journal.db"
    assert folder.lock.parent == folder.path == own_home / "sweeps" / folder.id
    assert layout.home() == tmp_path
    assert layout.find(folder.id) == folder


def test_home_is_where_the_environment_says(own_home: Path) -> None:
    assert layout.home() == own_home


def full(_path: Path, content: bytes) -> int:
    """Write like a disk that has space for names but not for content."""
    if content:
        raise OSError(errno.ENOSPC, "No space left on device")
    return 0


def test_a_full_disk_is_reported_before_a_sweep_starts(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=f"the disk of {own_home} has too little space .* `sweeps delete SWEEP`"):
        layout.check_home()


def test_a_disk_that_fills_up_before_the_sweep_file_is_written_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout.create("late")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="`sweeps delete SWEEP`"):
        folder.write_config("name: late")


def test_checking_a_home_leaves_nothing_behind(own_home: Path) -> None:
    layout.check_home()
    assert not list((own_home / "sweeps").iterdir())

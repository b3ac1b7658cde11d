"""A file is written whole or not at all, and what must survive a power cut is on the disk before its name."""

import errno
import os
from pathlib import Path

import pytest

from sweeps.errors import StorageError
from sweeps.storage import atomic_write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_interrupted_write_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("former")

    def write_half() -> None:
        with atomic_write.replacing(file) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert (file.read_text(), names(tmp_path)) == ("former", ["file"])


def test_two_writers_of_a_file_do_not_mix_their_contents(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with atomic_write.replacing(file) as one, atomic_write.replacing(file) as other:
        one.write_text("one")
        other.write_text("other")
        assert not file.exists()
    assert (file.read_text(), names(tmp_path)) == ("one", ["file"])


@pytest.mark.parametrize("synced", [True, False])
def test_a_synced_file_is_on_the_disk_before_its_name_and_then_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: bool
) -> None:
    file = tmp_path / "file"
    steps: list[tuple[str, str, str | bytes]] = []
    replace = Path.replace

    def record_sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(("sync", path.suffix, path.read_bytes() if path.is_file() else path.name))

    def record_replace(path: Path, target: Path) -> Path:
        steps.append(("replace", path.suffix, target.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    assert atomic_write.write(file, b"content", synced=synced)
    renamed = ("replace", ".partial", "file")
    whole = [("sync", ".partial", b"content"), renamed, ("sync", tmp_path.suffix, tmp_path.name)]
    assert steps == (whole if synced else [renamed])
    steps.clear()
    atomic_write.write(file, b"content")
    atomic_write.write_or_raise(file, b"content")
    assert steps == [renamed, renamed]  # to wait for the disk is asked for


@pytest.mark.parametrize(
    ("error", "is_suppressed"),
    [
        (OSError(errno.ENOSPC, "no space"), True),
        (OSError(errno.EDQUOT, "over quota"), True),
        (OSError(errno.EACCES, "denied"), False),
        (StorageError("the store does not answer", passes=True), True),
        (StorageError("the store refuses", passes=False), False),
    ],
    ids=["full", "quota", "denied", "unreachable", "refused"],
)
def test_only_what_passes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, is_suppressed: bool
) -> None:
    file, failures = tmp_path / "file", [error, error]
    write = atomic_write.write_or_raise

    def fail_twice(path: Path, content: bytes, *, synced: bool = False) -> None:
        if failures:
            raise failures.pop()
        write(path, content, synced=synced)

    monkeypatch.setattr(atomic_write, "write_or_raise", fail_twice)
    monkeypatch.setattr(atomic_write, "_POLL_SECONDS", 0.01)
    if not is_suppressed:
        with pytest.raises(type(error)):
            atomic_write.write(file, b"content", patience_seconds=60)
        return
    assert not atomic_write.write(file, b"content")
    assert not file.exists()
    assert atomic_write.write(file, b"content", patience_seconds=60)
    assert file.read_bytes() == b"content"


def test_what_a_killed_process_left_is_removed_and_no_more(tmp_path: Path) -> None:
    for name in ("a.partial", "b.0123abcd.partial", "network"):
        (tmp_path / name).touch()
    atomic_write.remove_partial(tmp_path)
    assert names(tmp_path) == ["network"]


def test_a_folder_that_is_no_longer_used_is_removed_if_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "cache" / "sub").mkdir(parents=True)
    atomic_write.try_to_remove(tmp_path / "cache")
    atomic_write.try_to_remove(tmp_path / "cache")
    assert names(tmp_path) == []

"""A log that only grows: written by one of several writers at a time, and any change of it is found."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.errors import StorageError
from sweeps.storage import chained_log
from sweeps.storage.chained_log import ChainedLog, LogEntry, chain_issues
from sweeps.storage.object_store import Place, RemotePath, place


@pytest.fixture(params=["disk", "store"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> ChainedLog:
    """An empty log, on a disk and in an object store."""
    folder: Place = tmp_path / "promotions" if request.param == "disk" else place(f"memory://{token_hex(4)}/promotions")
    return ChainedLog(folder)


def test_entries_are_read_back_in_order_and_chained(log: ChainedLog) -> None:
    assert log.entries() == []
    written = [log.append({"what": what}) for what in ("move", "outcome", "é")]
    entries = log.entries()
    assert entries == written
    assert [entry.facts["what"] for entry in entries] == ["move", "outcome", "é"]
    assert [entry.facts["previous"] for entry in entries] == [None, entries[0].sha256, entries[1].sha256]
    assert (log.folder / "00000002.json").read_bytes() == entries[1].content
    assert chain_issues(entries) == []


def test_files_on_a_disk_are_for_their_owner_alone(tmp_path: Path) -> None:
    log = ChainedLog(tmp_path / "promotions")
    log.append({})
    assert [path.name for path in (tmp_path / "promotions").iterdir()] == ["00000001.json"]
    assert stat.S_IMODE((tmp_path / "promotions").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "promotions" / "00000001.json").stat().st_mode) == 0o600


def test_missing_folders_above_the_log_are_private(tmp_path: Path) -> None:
    ChainedLog(tmp_path / "home" / "promotions").append({})
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_log_in_a_shared_home_is_shared_with_its_group(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    ChainedLog(tmp_path / "promotions").append({})
    assert stat.S_IMODE((tmp_path / "promotions").stat().st_mode) == 0o2770
    assert stat.S_IMODE((tmp_path / "promotions" / "00000001.json").stat().st_mode) == 0o660


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_an_entry_that_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").write_text("{}")
    entry = tmp_path / "00000001.json"
    entry.symlink_to(tmp_path / "elsewhere") if kind == "link" else os.mkfifo(entry)
    with pytest.raises(StorageError, match="must be a regular file"):
        ChainedLog(tmp_path).entries()


def test_concurrent_writers_each_get_a_number_and_no_entry_is_lost(log: ChainedLog) -> None:
    n_entries = 16 if isinstance(log.folder, Path) else 6  # in a store, each takes half a second
    with ThreadPoolExecutor(4) as writers:
        written = list(writers.map(lambda n: ChainedLog(log.folder).append({"n": n}), range(n_entries)))
    entries = log.entries()
    assert sorted(entry.number for entry in written) == [entry.number for entry in entries]
    assert [entry.number for entry in entries] == list(range(1, n_entries + 1))
    assert {entry.facts["n"] for entry in entries} == set(range(n_entries))
    assert chain_issues(entries) == []


def test_of_two_writers_of_the_same_number_the_second_takes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ChainedLog(tmp_path / "promotions")
    log.append({"n": 0})
    create, others = chained_log._create, [{"n": 1}]

    def create_late(file: Path, content: bytes) -> bool:
        if others:
            log.append(others.pop())  # the other writer
        return create(file, content)

    monkeypatch.setattr(chained_log, "_create", create_late)
    assert log.append({"n": 2}).number == 3
    assert [entry.facts["n"] for entry in log.entries()] == [0, 1, 2]
    assert chain_issues(log.entries()) == []


def test_another_process_cannot_replace_an_entry(tmp_path: Path) -> None:
    log = ChainedLog(tmp_path / "promotions")
    entry = log.append({"n": 0})
    code = f"""
from pathlib import Path
from sweeps.storage.chained_log import _create
print(_create(Path({str(tmp_path)!r}) / "promotions" / "00000001.json", b"other"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert log.entries() == [entry]


def test_an_overwritten_file_in_a_store_is_written_again_under_the_next_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = ChainedLog(place(f"memory://{token_hex(4)}/promotions"))
    write, others = RemotePath.write_bytes, [b'{"entry": 1}']

    def write_and_lose(path: RemotePath, content: bytes) -> None:
        write(path, content)
        if path.name == "00000001.json" and others:
            write(path, others.pop())  # a writer whose lease had expired

    monkeypatch.setattr(RemotePath, "write_bytes", write_and_lose)
    assert log.append({"n": 0}).number == 2


def test_a_store_whose_lease_others_own_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ChainedLog(place(f"memory://{token_hex(4)}/promotions"))
    monkeypatch.setattr(chained_log, "lease_owner", lambda _: {"host": "other"})
    monkeypatch.setattr(chained_log, "LEASE_SECONDS", 0.0)
    with pytest.raises(StorageError, match="must be free"):
        log.append({})
    assert log.entries() == []


def test_a_write_that_fails_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ChainedLog(tmp_path / "promotions")
    log.append({})
    with monkeypatch.context() as patch:
        patch.setattr(chained_log.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StorageError, match="No space left") as refusal:
            log.append({})
    assert refusal.value.passes
    assert [path.name for path in (tmp_path / "promotions").iterdir()] == ["00000001.json"]


def test_the_rest_of_a_killed_write_is_no_entry(tmp_path: Path) -> None:
    log = ChainedLog(tmp_path / "promotions")
    log.append({})
    (tmp_path / "promotions" / "00000002.json.0123abcd.partial").write_text('{"entry"')
    assert log.append({}).number == 2
    assert chain_issues(log.entries()) == []


@pytest.mark.parametrize("use", [ChainedLog.entries, lambda log: log.append({})])
def test_a_log_that_cannot_be_used_is_an_error_in_one_line(tmp_path: Path, use: Callable[[ChainedLog], object]) -> None:
    (tmp_path / "promotions").mkdir()
    (tmp_path / "promotions" / "00000001.json").mkdir()  # no file; unlike permissions, it also stops root
    with pytest.raises(StorageError, match=r"00000001\.json must be a regular file"):
        use(ChainedLog(tmp_path / "promotions"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="must be able to write the log"):
        ChainedLog(tmp_path / "file").append({})


def test_a_file_too_large_for_an_entry_is_none(tmp_path: Path) -> None:
    log = ChainedLog(tmp_path)
    (tmp_path / "00000001.json").write_text(json.dumps({"entry": 1, "previous": None, "n": "0" * 2**20}))
    assert len(log.entries()[0].content) == chained_log.MAX_ENTRY_BYTES + 1
    assert chain_issues(log.entries()) == ["entry 1 is no JSON object"]


def chain(n_entries: int) -> list[LogEntry]:
    """The entries of a log."""
    with tempfile.TemporaryDirectory() as folder:
        return [ChainedLog(Path(folder)).append({"what": "move", "n": number}) for number in range(n_entries)]


WHOLE = chain(5)


def found(entries: list[LogEntry]) -> bool:
    """Whether a change is found by the chain, or by the newest entry's number and hash, kept elsewhere."""
    known = WHOLE[-1].number, WHOLE[-1].sha256
    return bool(chain_issues(entries)) or known not in [(entry.number, entry.sha256) for entry in entries]


def test_a_whole_log_has_no_issue() -> None:
    assert not found(WHOLE)


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(0, 10_000), st.integers(0, 255))
def test_any_change_of_a_byte_of_any_entry_is_found(index: int, position: int, value: int) -> None:
    entry = WHOLE[index]
    position %= len(entry.content)
    content = bytearray(entry.content)
    content[position] = value
    changed = [*WHOLE[:index], LogEntry(entry.number, bytes(content)), *WHOLE[index + 1 :]]
    assert found(changed) == (changed != WHOLE)


@settings(deadline=None)
@given(st.sets(st.integers(0, 4), min_size=1))
def test_any_deletion_of_entries_is_found(deleted: set[int]) -> None:
    assert found([entry for index, entry in enumerate(WHOLE) if index not in deleted])


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_entries_in_another_order_are_found(order: list[int]) -> None:
    swapped = [LogEntry(index + 1, WHOLE[origin].content) for index, origin in enumerate(order)]
    assert found(swapped) == (order != list(range(5)))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_content_of_a_file_is_judged_without_an_error(content: bytes) -> None:
    assert chain_issues([WHOLE[0], LogEntry(2, content), WHOLE[2]])


def test_deep_nesting_is_no_entry() -> None:
    assert LogEntry(1, b"[" * 100_000).facts == {}


def test_each_issue_is_named() -> None:
    first, second, third, *_ = WHOLE
    assert chain_issues([second, third])[0].startswith("the log must begin with entry 1")
    assert chain_issues([first, third]) == ["entry 2 is missing"]
    assert chain_issues([first, WHOLE[4]]) == ["entry 2 to 4 is missing"]
    edited = LogEntry(2, second.content.replace(b"move", b"Move"))
    assert chain_issues([first, edited, third]) == ["entry 2 is not the one that entry 3 was written after"]
    assert "the file of entry 2 holds entry 3" in chain_issues([first, LogEntry(2, third.content)])

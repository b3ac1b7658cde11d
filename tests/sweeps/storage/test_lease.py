"""Which process of which host runs a sweep whose folder is in an object store."""

import json
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from polling import wait_until

from sweeps.errors import StorageError, SweepLocked
from sweeps.storage import lease as leases
from sweeps.storage.layout import SweepFolder
from sweeps.storage.lease import leased, leaseholder
from sweeps.storage.object_store import RemotePath
from sweeps.storage.sweep_lock import hold, holder_of, is_held

ME, OTHER = {"host": "here", "pid": 1, "started": 1}, {"host": "there", "pid": 2, "started": 2}


@pytest.fixture
def file() -> RemotePath:
    return RemotePath(f"memory://{token_hex(4)}/held-by.json")


@pytest.fixture
def folder(file: RemotePath) -> SweepFolder:
    return SweepFolder(file.parent / "sweeps" / token_hex(4))


def write(file: RemotePath, holder: dict[str, Any], age_seconds: float = 0.0) -> None:
    file.write_bytes(json.dumps({"holder": holder, "renewed": time.time() - age_seconds}).encode())


def test_a_lease_lasts_as_long_as_it_is_held(file: RemotePath) -> None:
    assert leaseholder(file) is None
    with leased(file, ME):
        assert leaseholder(file) == ME
    assert leaseholder(file) is None


def test_a_lease_is_renewed(file: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_SECONDS_BETWEEN_RENEWALS", 0.01)
    with leased(file, ME):
        first = file.read_bytes()
        wait_until(lambda: file.read_bytes() != first)


def test_a_lease_that_was_not_renewed_for_long_is_free(file: RemotePath) -> None:
    write(file, OTHER, age_seconds=leases.SECONDS + 1)
    assert leaseholder(file) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"holder": {}}'])
def test_a_lease_that_cannot_be_read_is_free(file: RemotePath, content: bytes) -> None:
    file.write_bytes(content)
    assert leaseholder(file) is None


def test_a_process_whose_lease_another_has_taken_is_interrupted_and_leaves_it(
    file: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_SECONDS_BETWEEN_RENEWALS", 0.01)
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        with leased(file, ME):
            write(file, OTHER)

            def is_interrupted() -> bool:
                write(file, OTHER)  # our own renewal may have been under way
                return bool(interrupts)

            wait_until(is_interrupted)
        assert leaseholder(file) == OTHER
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_store_that_is_away_at_the_end_keeps_the_lease_and_fails_nothing(
    file: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StorageError("no answer", passes=True)

    with monkeypatch.context() as patch, leased(file, ME):
        patch.setattr(RemotePath, "_once", away)
    assert leaseholder(file) == ME


def test_a_lease_that_was_removed_is_lost_and_not_written_again(file: RemotePath) -> None:
    with leased(file, ME) as lease:
        assert lease.is_mine()
        file.unlink()
        assert not lease.renew()
        assert not file.exists()


def test_a_lease_that_another_has_had_is_never_ours_again(file: RemotePath) -> None:
    with leased(file, ME) as lease:
        write(file, OTHER, age_seconds=leases.SECONDS + 1)
        assert not lease.is_mine()
        file.unlink()
        assert not lease.renew()
        assert not file.exists()


def test_a_sweep_in_a_store_that_another_host_runs_is_held(folder: SweepFolder) -> None:
    assert folder.lease is not None
    assert not is_held(folder)
    write(folder.lease, OTHER)
    assert is_held(folder)
    assert str(holder_of(folder)) == "process 2 on there"
    with pytest.raises(SweepLocked, match="process 2 on there runs it"), hold(folder):
        pass


def test_a_sweep_in_a_store_whose_process_on_this_host_has_ended_is_free(folder: SweepFolder) -> None:
    assert folder.lease is not None
    write(folder.lease, OTHER | {"host": os.uname().nodename, "pid": 2**22 + 1})
    assert not is_held(folder)
    with hold(folder):
        assert is_held(folder)
        with pytest.raises(SweepLocked), hold(folder):
            pass
    assert not is_held(folder)


@pytest.mark.parametrize("boot", ["of another machine", "of this one"])
def test_a_sweep_in_a_store_whose_process_is_not_found_is_free_only_if_it_ran_on_this_very_host(
    folder: SweepFolder, boot: str
) -> None:
    assert folder.lease is not None
    with hold(folder):
        mine = holder_of(folder)
    assert mine is not None
    own = mine.boot if boot == "of this one" else boot
    write(folder.lease, asdict(replace(mine, pid=2**22 + 1, boot=own)))
    assert is_held(folder) == (boot == "of another machine")


def test_a_sweep_on_a_disk_needs_no_lease(tmp_path: Path) -> None:
    assert SweepFolder(tmp_path).lease is None

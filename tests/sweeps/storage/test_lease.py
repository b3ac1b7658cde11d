"""Which process on which host owns a sweep whose folder is in an object store."""

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
from sweeps.storage.lease import lease_owner, own_lease
from sweeps.storage.object_store import RemotePath
from sweeps.storage.sweep_lock import is_owned, own_sweep, owner_of

ME, OTHER = {"host": "here", "pid": 1, "started": 1}, {"host": "there", "pid": 2, "started": 2}


@pytest.fixture
def file() -> RemotePath:
    return RemotePath(f"memory://{token_hex(4)}/held-by.json")


@pytest.fixture
def folder(file: RemotePath) -> SweepFolder:
    return SweepFolder(file.parent / "sweeps" / token_hex(4))


def write(file: RemotePath, owner: dict[str, Any], age_seconds: float = 0.0) -> None:
    file.write_bytes(json.dumps({"holder": owner, "renewed": time.time() - age_seconds}).encode())


def test_a_lease_lasts_until_it_is_released(file: RemotePath) -> None:
    assert lease_owner(file) is None
    with own_lease(file, ME):
        assert lease_owner(file) == ME
    assert lease_owner(file) is None


def test_a_lease_is_renewed(file: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_SECONDS_BETWEEN_RENEWALS", 0.01)
    with own_lease(file, ME):
        first = file.read_bytes()
        wait_until(lambda: file.read_bytes() != first)


def test_a_lease_expires_when_it_is_not_renewed(file: RemotePath) -> None:
    write(file, OTHER, age_seconds=leases.LEASE_SECONDS + 1)
    assert lease_owner(file) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"holder": {}}'])
def test_an_unreadable_lease_is_free(file: RemotePath, content: bytes) -> None:
    file.write_bytes(content)
    assert lease_owner(file) is None


def test_a_process_that_lost_its_lease_is_interrupted_and_leaves_the_lease_alone(
    file: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_SECONDS_BETWEEN_RENEWALS", 0.01)
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        with own_lease(file, ME):
            write(file, OTHER)

            def is_interrupted() -> bool:
                write(file, OTHER)  # our own renewal may have overwritten it
                return bool(interrupts)

            wait_until(is_interrupted)
        assert lease_owner(file) == OTHER
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_unreachable_store_at_the_end_keeps_the_lease_and_raises_nothing(
    file: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StorageError("no answer", passes=True)

    with monkeypatch.context() as patch, own_lease(file, ME):
        patch.setattr(RemotePath, "_once", away)
    assert lease_owner(file) == ME


def test_a_removed_lease_is_lost_and_not_written_again(file: RemotePath) -> None:
    with own_lease(file, ME) as lease:
        assert lease.is_owner()
        file.unlink()
        assert not lease.renew()
        assert not file.exists()


def test_a_lease_that_another_process_owned_is_lost_for_good(file: RemotePath) -> None:
    with own_lease(file, ME) as lease:
        write(file, OTHER, age_seconds=leases.LEASE_SECONDS + 1)
        assert not lease.is_owner()
        file.unlink()
        assert not lease.renew()
        assert not file.exists()


def test_a_sweep_in_a_store_is_owned_by_the_host_that_runs_it(folder: SweepFolder) -> None:
    assert folder.lease is not None
    assert not is_owned(folder)
    write(folder.lease, OTHER)
    assert is_owned(folder)
    assert str(owner_of(folder)) == "process 2 on there"
    with pytest.raises(SweepLocked, match=r"is already running \(process 2 on there\)"), own_sweep(folder):
        pass


def test_a_sweep_in_a_store_is_free_once_its_process_on_this_host_has_ended(folder: SweepFolder) -> None:
    assert folder.lease is not None
    write(folder.lease, OTHER | {"host": os.uname().nodename, "pid": 2**22 + 1})
    assert not is_owned(folder)
    with own_sweep(folder):
        assert is_owned(folder)
        with pytest.raises(SweepLocked), own_sweep(folder):
            pass
    assert not is_owned(folder)


@pytest.mark.parametrize("boot", ["of another machine", "of this one"])
def test_a_lease_of_an_unknown_process_is_free_only_if_it_ran_on_this_very_host(folder: SweepFolder, boot: str) -> None:
    assert folder.lease is not None
    with own_sweep(folder):
        owner = owner_of(folder)
    assert owner is not None
    own = owner.boot if boot == "of this one" else boot
    write(folder.lease, asdict(replace(owner, pid=2**22 + 1, boot=own)))
    assert is_owned(folder) == (boot == "of another machine")


def test_a_sweep_on_a_disk_needs_no_lease(tmp_path: Path) -> None:
    assert SweepFolder(tmp_path).lease is None

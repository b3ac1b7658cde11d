"""One process at a time owns a sweep."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.errors import SweepDone, SweepLocked
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import is_owned, own_sweep, owner_of, stop_owner

OWN = """
import sys, time
from pathlib import Path
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import own_sweep
with own_sweep(SweepFolder(Path(sys.argv[1]))):
    try:
        print("owned", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path)


@pytest.fixture
def other(folder: SweepFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the sweep."""
    process = subprocess.Popen([sys.executable, "-c", OWN, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_and_names_the_owner(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    with pytest.raises(SweepLocked, match=f"process {other.pid} on "), own_sweep(folder):
        pass
    owner = owner_of(folder)
    assert owner is not None
    assert (owner.pid, owner.runs_here) == (other.pid, True)


def test_a_killed_process_owns_nothing(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    assert not is_owned(folder)
    assert owner_of(folder) is None
    with own_sweep(folder):
        assert is_owned(folder)


def test_looking_for_an_owner_neither_takes_nor_releases_the_lock(folder: SweepFolder) -> None:
    assert not is_owned(folder)
    with own_sweep(folder):
        assert [is_owned(folder) for _ in range(2)] == [True, True]
        with pytest.raises(SweepLocked), own_sweep(folder):
            pass
        assert is_owned(folder)
    assert not is_owned(folder)


def test_stop_interrupts_the_owner_and_waits_for_its_end(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    stop_owner(folder, patience_seconds=60)
    assert not is_owned(folder)
    assert other.stdout is not None
    assert other.stdout.readline() == "interrupted\n"


def test_stop_raises_if_the_owner_does_not_end(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    os.kill(other.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(SweepLocked, match=r"did not stop within 0\.2 s"):
        stop_owner(folder, patience_seconds=0.2)
    assert time.monotonic() - began >= 0.2


def test_stop_raises_if_no_process_runs_the_sweep(folder: SweepFolder) -> None:
    with pytest.raises(SweepDone, match="nothing to stop"):
        stop_owner(folder, patience_seconds=1)


def test_a_reused_process_id_is_not_the_owner(folder: SweepFolder) -> None:
    with own_sweep(folder):
        folder.lock.write_text(f'{{"host": "{os.uname().nodename}", "pid": {os.getppid()}, "started": 1}}')
        owner = owner_of(folder)
        assert owner is not None
        assert not owner.runs_here
        owner.interrupt()  # reaches nobody: our parent keeps running
        with pytest.raises(SweepLocked, match=r"run `sweeps stop .*` there"):
            stop_owner(folder, patience_seconds=1)

"""One process at a time runs a sweep."""

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
from sweeps.storage.sweep_lock import hold, holder_of, is_held, stop

HOLD = """
import sys, time
from pathlib import Path
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import hold
with hold(SweepFolder(Path(sys.argv[1]))):
    try:
        print("held", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path)


@pytest.fixture
def other(folder: SweepFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the sweep."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_told_who_holds_a_sweep(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    with pytest.raises(SweepLocked, match=f"process {other.pid} on "), hold(folder):
        pass
    holder = holder_of(folder)
    assert holder is not None
    assert (holder.pid, holder.is_here) == (other.pid, True)


def test_a_killed_process_holds_nothing(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    assert not is_held(folder)
    assert holder_of(folder) is None
    with hold(folder):
        assert is_held(folder)


def test_looking_whether_a_sweep_is_held_neither_takes_nor_ends_the_hold(folder: SweepFolder) -> None:
    assert not is_held(folder)
    with hold(folder):
        assert [is_held(folder) for _ in range(2)] == [True, True]
        with pytest.raises(SweepLocked), hold(folder):
            pass
        assert is_held(folder)
    assert not is_held(folder)


def test_stop_interrupts_the_holder_and_waits_for_its_end(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    stop(folder, patience_seconds=60)
    assert not is_held(folder)
    assert other.stdout is not None
    assert other.stdout.readline() == "interrupted\n"


def test_stop_says_that_a_holder_does_not_end(folder: SweepFolder, other: subprocess.Popen[str]) -> None:
    os.kill(other.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(SweepLocked, match="wait for it"):
        stop(folder, patience_seconds=0.2)
    assert time.monotonic() - began >= 0.2


def test_there_is_nothing_to_stop_where_no_process_runs(folder: SweepFolder) -> None:
    with pytest.raises(SweepDone, match="nothing to stop"):
        stop(folder, patience_seconds=1)


def test_a_number_that_another_process_has_taken_over_is_not_the_holder(folder: SweepFolder) -> None:
    with hold(folder):
        folder.lock.write_text(f'{{"host": "{os.uname().nodename}", "pid": {os.getppid()}, "started": 1}}')
        holder = holder_of(folder)
        assert holder is not None
        assert not holder.is_here
        holder.interrupt()  # reaches nobody: our parent lives on
        with pytest.raises(SweepLocked, match="must be given there"):
            stop(folder, patience_seconds=1)

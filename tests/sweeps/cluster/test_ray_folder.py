"""The private folder of a local Ray: closed to others, removed at the end, and later if its process was killed."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.cluster.ray_folder import ray_folder


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the folders are created; pytest's own folders have names that are too long for sockets."""
    path = Path(f"/tmp/t{os.getpid()}")  # noqa: S108
    path.mkdir(mode=0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(path))
    yield path
    shutil.rmtree(path)


def abandoned(parent: Path, name: str = "dead") -> Path:
    folder = parent / f"sweeps-ray-{name}"
    (folder / "r" / "logs").mkdir(parents=True)
    return folder


def test_only_its_user_enters_it_whatever_ray_does_inside(parent: Path) -> None:
    with ray_folder() as folder:
        folder.mkdir()
        folder.chmod(0o777)  # as Ray does
        (private,) = parent.iterdir()
        assert folder.parent == private
        assert private.stat().st_mode & 0o777 == 0o700
    assert list(parent.iterdir()) == []


def test_it_is_removed_after_ctrl_c(parent: Path) -> None:
    def interrupted() -> None:
        with ray_folder() as folder:
            folder.mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(parent.iterdir()) == []


def test_that_of_a_killed_process_is_removed_by_the_next_and_that_of_a_running_one_is_not() -> None:
    code = (
        "import time\nfrom sweeps.cluster.ray_folder import ray_folder\n"
        "with ray_folder() as folder:\n    folder.mkdir()\n    print(folder.parent, flush=True)\n    time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    theirs = Path(process.stdout.readline().strip())
    with ray_folder():
        assert theirs.exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert theirs.exists()
    with ray_folder():
        assert not theirs.exists()


def test_folders_of_others_and_links_stay(parent: Path) -> None:
    target = parent / "target"
    target.mkdir()
    (parent / "sweeps-ray-link").symlink_to(target)
    foreign = abandoned(parent, "foreign")
    if os.geteuid() == 0:
        os.chown(foreign, 65534, 65534)
    else:
        foreign.rmdir()
    with ray_folder():
        pass
    assert target.exists()
    assert foreign.exists() or os.geteuid() != 0


def test_a_folder_that_is_taken_for_abandoned_before_it_is_locked_is_replaced(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, removed = fcntl.flock, []

    def slow_lock(descriptor: int, how: int) -> None:
        if not removed:
            removed.extend(parent.iterdir())
            shutil.rmtree(removed[0])
        lock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", slow_lock)
    with ray_folder() as folder:
        assert folder.parent.exists()
        assert folder.parent != removed[0]


@pytest.mark.parametrize(("length", "is_used"), [(21, True), (22, False)])
def test_it_is_elsewhere_where_the_paths_of_sockets_would_be_too_long(
    parent: Path, monkeypatch: pytest.MonkeyPatch, length: int, is_used: bool
) -> None:
    wanted = parent / ("x" * (length - len(str(parent)) - 1))
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv("TMPDIR", str(wanted))
    with ray_folder() as folder:
        assert (folder.parents[1] == wanted) is is_used
        longest = folder / "session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
        assert len(str(longest)) <= 107

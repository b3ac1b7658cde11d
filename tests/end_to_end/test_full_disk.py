"""A disk under the sweep folder that is full for a while."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.storage import atomic_write

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MountDisk = Callable[[int], Path]
Fill = Callable[[Path], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system of so many MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    mounted = []

    def mount(size: int) -> Path:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(path)], check=True)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def fill() -> Callable[[Path], Path]:
    """Fill a disk to its last byte; give the file to remove."""

    def write(disk: Path) -> Path:
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (65536, 1):
                try:
                    while True:
                        file.write(b"0" * size)
                except OSError:
                    continue
        return ballast

    return write


def test_a_file_that_a_full_disk_does_not_take_leaves_the_former_one(small_disk: MountDisk, fill: Fill) -> None:
    disk = small_disk(1)
    file = disk / "best.safetensors"
    assert atomic_write.write(file, b"former")
    ballast = fill(disk)
    assert not atomic_write.write(file, b"new" * 10_000)
    assert file.read_bytes() == b"former"
    assert sorted(path.name for path in disk.iterdir()) == ["ballast", "best.safetensors"]
    ballast.unlink()
    assert atomic_write.write(file, b"new" * 10_000)
    assert file.read_bytes() == b"new" * 10_000


def test_trials_go_on_while_the_disk_is_full_and_everything_is_there_in_the_end(
    home: Any,
    sweep_file: Callable[..., str],
    long_training: dict[str, Any],
    small_disk: MountDisk,
    fill: Fill,
) -> None:
    disk = small_disk(24)
    # The store lies elsewhere: MLflow's server would have a disk of its own.
    there = type(home)(disk, store=home.path / "mlflow.db")
    path = sweep_file(
        training=long_training, search={"model.hidden_size": {"grid": [8, 16]}}, algorithm={"name": "grid"}
    )
    process = there.start("run", path, "--json")
    there.wait_for_epochs(process, 20)
    ballast = fill(disk)
    told = process.stderr.readline()
    while "free space there" not in told:
        assert told, "the command ended without a word of the full disk"
        told = process.stderr.readline()
    assert str(disk) in told
    ballast.unlink()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "nothing is lost" in errors
    printed = json.loads(output)
    assert (printed["state"], printed["failed"], printed["undelivered"]) == ("FINISHED", 0, 0)
    recorded, stored = there.recorded_and_stored(printed["sweep"])
    assert stored == recorded
    for point in there.points(printed["sweep"]):
        assert (disk / "sweeps" / printed["sweep"] / "points" / point.point_id / "best.safetensors").stat().st_size > 0
    assert not list(disk.glob("sweeps/*/points/*/*.partial"))

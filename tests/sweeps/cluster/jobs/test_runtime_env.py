"""The files that a job takes to the cluster."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sweeps.cluster.jobs import runtime_env
from sweeps.cluster.jobs.runtime_env import array_files, job_files
from sweeps.config import SweepConfig, load
from sweeps.errors import DataError

MakeSweep = Callable[..., SweepConfig]


def on_array(make: MakeSweep, path: Path, **data: object) -> SweepConfig:
    return make(data={"name": "array", "path": str(path), **data})


def test_the_code_is_shipped_and_nothing_beside_it(small_sweep: MakeSweep) -> None:
    with job_files(small_sweep()) as files:
        names = {path.name for path in files.working_folder.iterdir()}
        assert names == {"sweeps", "bootstrap.py", "sweep.yaml"}
        suffixes = {path.suffix for path in files.working_folder.rglob("*") if path.is_file()}
        assert suffixes <= {".py", ".yaml", ".typed"}
        assert files.array_folders == ()
    assert not files.working_folder.exists()


def test_the_shipped_command_line_runs_by_itself(small_sweep: MakeSweep) -> None:
    with job_files(small_sweep()) as files:
        command = [sys.executable, "-m", "sweeps", "validate", "sweep.yaml"]
        done = subprocess.run(command, cwd=files.working_folder, env={}, capture_output=True, text=True, check=False)
    assert "is valid: 1 trial of 3 epochs" in done.stdout, done.stderr


def test_arrays_of_this_disk_are_shipped_by_their_digest_and_named_so(small_sweep: MakeSweep, tmp_path: Path) -> None:
    images, labels = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, np.zeros((9, 4)))
    np.save(labels, np.zeros(9, dtype=np.int64))
    with job_files(on_array(small_sweep, images, labels_path=str(labels))) as files:
        folders = {folder.name: folder for folder in files.array_folders}
        digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:32] for path in (images, labels)]
        assert list(folders) == [f"sweeps_data_{digest}" for digest in digests]
        assert (folders[f"sweeps_data_{digests[0]}"] / "images.npy").read_bytes() == images.read_bytes()
        text = (files.working_folder / "sweep.yaml").read_text()
    assert f"path: sweeps_data_{digests[0]}/images.npy" in text
    assert f"labels_path: sweeps_data_{digests[1]}/labels.npy" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_tables_are_shipped_too_also_from_the_home_folder(
    small_sweep: MakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / f"own{suffix}").write_bytes(b"x,y\n1,a\n")
    config = small_sweep(data={"name": "table", "path": f"~/own{suffix}", "label_column": "y"})
    assert array_files(config) == ([tmp_path / f"own{suffix}"], [])
    with job_files(config) as files:
        (folder,) = files.array_folders
        assert (folder / f"own{suffix}").read_bytes() == b"x,y\n1,a\n"
        shipped = (files.working_folder / "sweep.yaml").read_text()
    assert f"path: {folder.name}/own{suffix}\n" in shipped
    assert "label_column: y\n" in shipped


def test_a_path_that_is_not_here_is_left_to_the_cluster(small_sweep: MakeSweep) -> None:
    with job_files(on_array(small_sweep, Path("/shared/images.npy"))) as files:
        assert load(files.working_folder / "sweep.yaml").to_dict()["data"]["path"] == "/shared/images.npy"
        assert files.array_folders == ()


def test_an_array_too_large_to_ship_is_refused_with_advice(
    small_sweep: MakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_env, "MAX_ARRAY_BYTES", 2**20)
    np.save(tmp_path / "images.npy", np.zeros(2**20))
    with pytest.raises(DataError, match="a folder that the cluster shares"):
        array_files(on_array(small_sweep, tmp_path / "images.npy"))


def test_a_resume_needs_no_sweep_file() -> None:
    with job_files() as files:
        assert not (files.working_folder / "sweep.yaml").exists()

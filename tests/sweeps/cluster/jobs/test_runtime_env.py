"""The files that a job takes to the cluster."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sweeps.cluster.jobs import runtime_env
from sweeps.cluster.jobs.runtime_env import array_files, check_arrays, job_files
from sweeps.config import SweepConfig, load
from sweeps.config.plain_yaml import parse_yaml
from sweeps.errors import DataError

MakeSweep = Callable[..., SweepConfig]


def on_array(make: MakeSweep, path: Path, **data: object) -> SweepConfig:
    return make(data={"name": "array", "path": str(path), **data})


def test_the_code_is_shipped_and_nothing_beside_it(small_sweep: MakeSweep) -> None:
    with job_files(small_sweep()) as files:
        names = {path.name for path in files.working_folder.iterdir()}
        assert names == {"sweeps", "bootstrap.py", "sweep.yaml"}
        shipped = [path for path in files.working_folder.rglob("*") if path.is_file()]
        suffixes = {path.suffix for path in shipped if "report" not in path.parts}
        assert suffixes <= {".py", ".yaml", ".typed"}
        # The page of the report, which the driver writes on the cluster.
        page = {path.name for path in shipped if "report" in path.parts and path.suffix != ".py"}
        assert page == {"page.css", "page.html.jinja", "page.js", "echarts.min.js", "LICENSE", "NOTICE"}
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


@pytest.fixture
def files_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a data plug-in of the current folder with settings `files`, a list of paths, and `label`."""
    (tmp_path / "files_of_a_job.py").write_text(
        "from pathlib import Path\nfrom sweeps.plugins import DataSettings, Samples\n\n\n"
        "class Settings(DataSettings):\n    files: list[Path] = []\n    label: str = ''\n\n\n"
        "def load(settings: Settings) -> Samples:\n    raise AssertionError\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return "files_of_a_job:load"


def test_each_file_of_a_list_is_shipped(small_sweep: MakeSweep, tmp_path: Path, files_plugin: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    named = [str(tmp_path / name) for name in ("a", "b", "gone")]
    config = small_sweep(data={"name": files_plugin, "files": named})
    assert array_files(config) == ([tmp_path / "a", tmp_path / "b"], [tmp_path / "gone"])
    assert check_arrays(config) == [
        f"{tmp_path / 'gone'} is not on this machine: the cluster must have it at that path"
    ]
    with job_files(config) as files:
        shipped = parse_yaml((files.working_folder / "sweep.yaml").read_text(), "sweep.yaml")["data"]["files"]
        assert [(files.working_folder.parent / path).read_text() for path in shipped[:2]] == ["a", "b"]
        assert shipped[2] == str(tmp_path / "gone")


def test_a_file_of_a_list_too_large_to_ship_is_named(
    small_sweep: MakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_plugin: str
) -> None:
    monkeypatch.setattr(runtime_env, "MAX_ARRAY_BYTES", 1)
    (tmp_path / "b").write_text("22")
    with pytest.raises(DataError, match=r"^data\.files\.1: .*, and set data\.files\.1 to its path there"):
        array_files(small_sweep(data={"name": files_plugin, "files": ["a", "b"]}))


def test_text_that_looks_like_a_number_stays_text(small_sweep: MakeSweep, files_plugin: str) -> None:
    with job_files(small_sweep(data={"name": files_plugin, "label": "1e3"})) as files:
        assert load(files.working_folder / "sweep.yaml").to_dict()["data"]["label"] == "1e3"


def test_a_resume_needs_no_sweep_file() -> None:
    with job_files() as files:
        assert not (files.working_folder / "sweep.yaml").exists()

"""A user's mistake: a line for each, exit status 2, no traceback, nothing started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def refused(home: Any, *arguments: str, **environment: str) -> list[str]:
    """The lines that a refused command printed, without the steps of its start."""
    done = home.sweeps(*arguments, **environment)
    assert done.returncode == 2, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert home.only_sweep() is None
    return [line for line in done.stderr.splitlines() if line.startswith("sweeps: ") and not line.endswith(" ...")]


def test_all_faults_of_a_file_are_told_at_once(home: Any, sweep_file: Callable[..., str]) -> None:
    path = sweep_file(
        model={"name": "shallow", "hiden_size": 3},
        training={"epochs": "many"},
        search={"model.weigth_l1": {"uniform": [0, 1]}, "model.noise.level": {"uniform": [0.5, 1.5]}},
    )
    lines = refused(home, "run", path)
    assert len(lines) == 4
    assert any("hiden_size" in line and "hidden_size" in line for line in lines)
    assert any("training.epochs" in line and "many" in line for line in lines)
    assert any("model.weigth_l1" in line and "model.weight_l1" in line for line in lines)
    assert any("model.noise.level" in line and "1.5" in line for line in lines)


def test_unknown_recipe_names_the_closest(home: Any) -> None:
    (line,) = refused(home, "run", "quickstrat")
    assert "quickstart" in line


def test_missing_data_file_is_named_with_where_to_put_it(home: Any, tmp_path: Path) -> None:
    lines = refused(home, "run", "mnist-shallow", SWEEPS_DATA_DIR=str(tmp_path / "nowhere"))
    assert "train-images-idx3-ubyte" in " ".join(lines)
    assert "nowhere" in " ".join(lines)


def test_corrupt_idx_file_is_named(home: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(b"\x00\x00\x08\x03 not an image")
    lines = refused(home, "run", "mnist-shallow", SWEEPS_DATA_DIR=str(tmp_path / "data"))
    assert "train-images-idx3-ubyte" in " ".join(lines)


def test_silent_tracking_server_is_refused_at_once(home: Any) -> None:
    (line,) = refused(home, "run", "quickstart", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "127.0.0.1:9" in line
    assert "--offline" in line


def test_password_of_a_silent_tracking_server_is_not_shown(home: Any) -> None:
    (line,) = refused(home, "run", "quickstart", MLFLOW_TRACKING_URI="http://user:hunter2@127.0.0.1:9")
    assert "hunter2" not in line


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:10001", "nonsense"])
def test_ray_address_that_does_not_answer_is_refused(home: Any, address: str) -> None:
    (line,) = refused(home, "run", "quickstart", RAY_ADDRESS=address)
    assert address in line


def test_trial_larger_than_the_cluster_is_refused(home: Any) -> None:
    *_, line = refused(home, "run", "quickstart", "--set", "resources.cpus_per_trial=1000")
    assert "resources.cpus_per_trial" in line


def test_home_that_cannot_be_written_is_refused(home: Any) -> None:
    (line,) = refused(home, "run", "quickstart", SWEEPS_HOME="/proc/sweeps")
    assert "SWEEPS_HOME" in line


def test_mistyped_tracking_scheme_is_refused(home: Any) -> None:
    (line,) = refused(home, "run", "quickstart", MLFLOW_TRACKING_URI="htpp://127.0.0.1:5000")
    assert "htpp" in line


def test_unknown_sweep_is_refused(home: Any) -> None:
    (line,) = refused(home, "status", "no-such-sweep")
    assert "no-such-sweep" in line


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("name: !!python/object/apply:os.system ['touch sprung']\n", "tag"),
        ("name: ../../elsewhere\n", "name must be"),
        ("name: a\ndata: {name: ../../etc/passwd}\n", "data"),
    ],
)
def test_sweep_file_that_tries_to_break_out_is_refused(home: Any, tmp_path: Path, written: str, told: str) -> None:
    path = tmp_path / "treacherous.yaml"
    path.write_text(written)
    assert told in " ".join(refused(home, "run", str(path)))
    assert not (tmp_path / "sprung").exists()


def test_sweep_id_that_leads_elsewhere_is_unknown(home: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "journal.db").touch()
    assert "no sweep '../outside'" in " ".join(refused(home, "delete", "../outside", "--force"))
    assert outside.is_dir()


def test_data_files_that_try_to_break_out_are_refused(
    home: Any, tmp_path: Path, sweep_file: Callable[..., str]
) -> None:
    trap = np.empty((20, 4), object)
    trap.fill(Trap(tmp_path / "sprung"))
    np.save(tmp_path / "objects.npy", trap)
    np.savez_compressed(tmp_path / "bomb.npz", inputs=np.zeros((100_000, 1000), np.uint8))
    for name, told in (("objects.npy", "pickled"), ("bomb.npz", "zip bomb")):
        path = sweep_file(data={"name": "array", "path": str(tmp_path / name), "n_valid": 5, "n_test": 5})
        assert told in " ".join(refused(home, "run", path))
    assert not (tmp_path / "sprung").exists()


def test_labels_that_were_not_read_are_named_before_anything_starts(
    home: Any, tmp_path: Path, sweep_file: Callable[..., str]
) -> None:
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", X=draw.uniform(size=(120, 4, 4)), y=draw.integers(0, 3, 120))
    data = {"name": "array", "path": str(tmp_path / "mine.npz"), "inputs_key": "X"}
    path = sweep_file(data=data, objective={"metric": "valid/probe_error"}, training={"epochs": 1})
    for command in (["run", path], ["validate", path, "--data"], ["submit", path, "--address", "http://127.0.0.1:9"]):
        (line,) = refused(home, *command)
        assert "data.labels_key: the file also holds y" in line

"""A packaged model computes what the network computes, from raw values and without this project."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import CONFIGS, SCALE, raw_samples, trained

from sweeps.errors import InputError, OutdatedModel
from sweeps.models.config import ModelConfig, ShallowConfig
from sweeps.models.feature_statistics import feature_statistics
from sweeps.registry.package_settings import NETWORK, SETTINGS
from sweeps.registry.packaged_model import BATCH, PackagedModel
from sweeps.registry.packaging import Package


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("n_samples", [1, 2, 7, BATCH + 1])
def test_batches_of_any_size_have_the_outputs_of_the_network(package, config: ModelConfig, n_samples: int) -> None:
    network, packaged = package(config)
    raw = raw_samples(n_samples)
    scaled = torch.from_numpy(raw.astype(np.float32) * np.float32(SCALE))
    with torch.no_grad():
        expected = network(scaled)
    outputs = packaged.outputs(raw)
    reconstruction = expected.reconstruction.numpy()
    np.testing.assert_allclose(outputs["reconstruction"] * SCALE, reconstruction, atol=1e-5)
    np.testing.assert_allclose(outputs["code"], expected.code.numpy(), atol=1e-5)
    deviation = feature_statistics(raw_samples(50), SCALE).deviation if config.standardize == "feature" else 1
    error = np.square((reconstruction.astype(np.float64) - scaled.numpy()) / deviation).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["reconstruction_error"], error, rtol=1e-4)


@pytest.mark.parametrize("standardize", ["none", "sample", "feature"])
def test_missing_values_are_filled_and_count_in_no_error(tmp_path: Path, standardize: Any) -> None:
    raw = raw_samples(9).astype(np.float32)
    raw[np.random.default_rng(0).random(raw.shape) < 0.3] = np.nan
    config = ShallowConfig(hidden_size=5, standardize=standardize)
    network = trained(config, raw)
    Package(network, config, SCALE, raw[:3]).save(tmp_path / "model")
    outputs = PackagedModel.load(tmp_path / "model").outputs(raw)

    scaled = torch.from_numpy(raw * np.float32(SCALE))
    with torch.no_grad():
        reconstruction = network(scaled).reconstruction.numpy()
    deviation = feature_statistics(raw, SCALE).deviation if standardize == "feature" else 1
    error = np.nanmean(np.square((reconstruction - scaled.numpy()) / deviation), axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["reconstruction"] * SCALE, reconstruction, atol=1e-5)
    np.testing.assert_allclose(outputs["reconstruction_error"], error, rtol=1e-4)


def test_a_stack_fine_tuned_on_labels_gives_probabilities_of_its_classes(package) -> None:
    network, packaged = package(CONFIGS[3])
    raw = raw_samples(9)
    with torch.no_grad():
        logits = network(torch.from_numpy(raw.astype(np.float32) * np.float32(SCALE))).class_logits
    outputs = packaged.outputs(raw)
    np.testing.assert_allclose(outputs["class_probabilities"], logits.softmax(dim=1).numpy(), atol=1e-5)
    assert "class_probabilities" not in package(CONFIGS[4])[1].columns


def test_a_single_example_is_enough_for_batches_of_any_size(tmp_path: Path) -> None:
    Package(trained(CONFIGS[0]), CONFIGS[0], SCALE, raw_samples(1)).save(tmp_path / "model")
    assert len(PackagedModel.load(tmp_path / "model").outputs(raw_samples(7))["code"]) == 7


def test_columns_are_contiguous_and_fill_the_tensor(package) -> None:
    for config in CONFIGS:
        _, packaged = package(config)
        ends = sorted(packaged.columns.values())
        assert [first for first, _ in ends] == [0, *(end for _, end in ends[:-1])]
        assert packaged.predict(raw_samples(2).astype(np.float32)).shape == (2, ends[-1][1])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shift=st.floats(-100, 100), stretch=st.floats(0.1, 100))
def test_a_model_that_standardises_takes_and_returns_raw_values(package, shift: float, stretch: float) -> None:
    # Standardised per sample, the code does not depend on a shift or a scale of the sample.
    _, packaged = package(CONFIGS[2])
    raw = raw_samples(5).astype(np.float32)
    changed = packaged.outputs(raw * np.float32(stretch) + np.float32(shift))
    plain = packaged.outputs(raw)
    np.testing.assert_allclose(changed["code"], plain["code"], atol=1e-2)
    expected = plain["reconstruction"].astype(np.float64) * stretch + shift
    np.testing.assert_allclose(changed["reconstruction"], expected, atol=2e-3 * (stretch + abs(shift)))


def test_the_package_describes_its_inputs_outputs_and_requirements(package) -> None:
    _, packaged = package(CONFIGS[1])
    described = yaml.safe_load((packaged.folder / "MLmodel").read_text())
    assert described["signature"]["inputs"] is None  # MLflow would refuse float64 and whole numbers
    names = [column["name"] for column in json.loads(described["signature"]["outputs"])]
    assert names == [
        *(f"reconstruction_{n}" for n in range(12)),
        *(f"code_{n}" for n in range(5)),
        "reconstruction_error",
    ]
    assert described["metadata"]["n_features"] == 12
    assert described["metadata"]["columns"] == {
        "reconstruction": [0, 12],
        "code": [12, 17],
        "reconstruction_error": [17, 18],
    }
    assert (packaged.folder / "input_example.json").is_file()
    requirements = (packaged.folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in requirements] == ["mlflow", "torch", "numpy"]
    assert all("==" in line and "+" not in line for line in requirements)


def test_it_loads_on_a_host_with_a_gpu(package, monkeypatch: pytest.MonkeyPatch) -> None:
    _, packaged = package(CONFIGS[1])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    again = PackagedModel.load(packaged.folder)
    assert again.predict(raw_samples(2).astype(np.float32)).shape == (2, 18)
    assert mlflow.pyfunc.load_model(str(packaged.folder)).predict(raw_samples(2)).shape == (2, 18)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, lambda raw: pd.DataFrame(raw, index=list("abcde"))])
def test_pyfunc_takes_arrays_and_data_frames_of_any_numeric_type(package, config, dtype, container) -> None:
    _, packaged = package(config)
    raw = container(raw_samples(5).astype(dtype))
    scores = mlflow.pyfunc.load_model(str(packaged.folder)).predict(raw)
    assert list(scores.columns) == packaged.column_names
    assert list(scores.index) == list(getattr(raw, "index", range(5)))
    np.testing.assert_allclose(scores.to_numpy(), packaged.predict(raw_samples(5).astype(np.float32)), atol=1e-6)
    outputs = packaged.outputs(raw_samples(5))
    np.testing.assert_allclose(scores["code_1"], outputs["code"][:, 1], atol=1e-6) if "code_1" in scores else None
    np.testing.assert_allclose(scores[["reconstruction_error"]], outputs["reconstruction_error"], atol=1e-6)


def test_loading_runs_no_code_of_the_model(package, tmp_path: Path) -> None:
    _, packaged = package(CONFIGS[1])
    folder = tmp_path / "changed"
    shutil.copytree(packaged.folder, folder)
    trace = tmp_path / "has-run"
    (folder / "predictor.py").write_text(f"open({str(trace)!r}, 'w')")
    PackagedModel.load(folder).predict(raw_samples(2).astype(np.float32))
    assert not trace.exists()


def test_a_folder_in_place_of_the_network_is_refused(package, tmp_path: Path) -> None:
    _, packaged = package(CONFIGS[1])
    folder = tmp_path / "changed"
    shutil.copytree(packaged.folder, folder)
    (folder / NETWORK).unlink()
    (folder / NETWORK).mkdir()
    with pytest.raises(InputError, match="autoencoder/network must be the network of a packaged model"):
        PackagedModel.load(folder)


def test_it_predicts_without_this_project(package, tmp_path: Path) -> None:
    _, packaged = package(CONFIGS[2])
    np.save(tmp_path / "raw.npy", raw_samples(4).astype(np.float32))
    code = f"""
import sys
for name in ("sweeps", "pytorch_lightning", "ray"):
    sys.modules[name] = None  # importing it raises
import mlflow.pyfunc, numpy
out = mlflow.pyfunc.load_model({str(packaged.folder)!r}).predict(numpy.load("raw.npy"))
numpy.save("out.npy", out)
"""
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=120)
    expected = packaged.predict(raw_samples(4).astype(np.float32))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)


def test_a_model_that_was_packaged_otherwise_is_refused(tmp_path: Path) -> None:
    import mlflow.pytorch

    example = np.zeros((2, 3), np.float32)
    mlflow.pytorch.save_model(
        torch.nn.Linear(3, 1), str(tmp_path / "other"), input_example=example, pip_requirements=["torch"]
    )
    with pytest.raises(OutdatedModel, match="of an earlier release or no model of `sweeps promote`"):
        PackagedModel.load(tmp_path / "other")


@pytest.mark.parametrize(
    "change",
    [{"n_features": 13}, {"takes_missing": True}, {"columns": {"code": [0, 1]}}],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_do_not_describe_the_network_are_refused(package, tmp_path: Path, change: dict[str, Any]) -> None:
    _, packaged = package(CONFIGS[0])
    shutil.copytree(packaged.folder, tmp_path / "model")
    path = tmp_path / "model" / SETTINGS
    described = json.loads(path.read_text())
    assert all(described[name] != value for name, value in change.items())
    path.write_text(json.dumps(described | change))
    with pytest.raises(InputError, match="must describe the network beside it, and differs in n_features, columns"):
        PackagedModel.load(tmp_path / "model")

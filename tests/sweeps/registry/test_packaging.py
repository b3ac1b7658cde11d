"""A packaged model computes what the network computes, from raw values and without this project."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.errors import InputError
from sweeps.models.build import build_network
from sweeps.models.config import DeepConfig, LinearConfig, ModelConfig, ShallowConfig, StackedDenoisingConfig
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.networks.network import Network
from sweeps.registry.packaging import Package
from sweeps.registry.scoring import BATCH, PackagedModel, score, score_by_alias

N_FEATURES = 12
SCALE = 1 / 16
CONFIGS: list[ModelConfig] = [
    LinearConfig(),
    ShallowConfig(hidden_size=5, activation="sigmoid", output_activation="sigmoid", loss="bce", tied_weights=True),
    DeepConfig(hidden_sizes=(8, 6), code_size=3, activation="elu", standardize="sample"),
    StackedDenoisingConfig(hidden_sizes=(8, 5)),
    StackedDenoisingConfig(hidden_sizes=(8, 5), fine_tuning="reconstruction"),
    DeepConfig(hidden_sizes=(8, 6), code_size=3, activation="elu", standardize="feature"),
]


def trained(config: ModelConfig, train: np.ndarray | None = None) -> Network:
    statistics = feature_statistics(raw_samples(50) if train is None else train, SCALE)
    network = build_network(config, input_size=N_FEATURES, n_classes=4, seed=1, statistics=statistics)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():  # biases and a softmax start at 0
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


def raw_samples(n_samples: int) -> np.ndarray:
    return np.random.default_rng(n_samples).integers(0, 17, (n_samples, N_FEATURES)).astype(np.uint8)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ModelConfig], tuple[Network, PackagedModel]]:
    """A network and the same one packaged, saved and loaded; made once for each config."""
    made: dict[str, tuple[Network, PackagedModel]] = {}

    def make(config: ModelConfig) -> tuple[Network, PackagedModel]:
        key = config.model_dump_json()
        if key not in made:
            network, folder = trained(config), tmp_path_factory.mktemp("package") / "model"
            Package(network, SCALE, raw_samples(3)).save(folder)
            made[key] = network, PackagedModel.load(folder)
        return made[key]

    return make


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
    Package(network, SCALE, raw[:3]).save(tmp_path / "model")
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
    Package(trained(CONFIGS[0]), SCALE, raw_samples(1)).save(tmp_path / "model")
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
    assert json.loads(described["signature"]["inputs"])[0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, 12]}
    assert json.loads(described["signature"]["outputs"])[0]["tensor-spec"]["shape"] == [-1, 12 + 5 + 1]
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
    with pytest.raises(InputError, match="names no columns"):
        PackagedModel.load(tmp_path / "other")


def test_scores_are_written_by_name_from_images_of_whole_numbers(package, tmp_path: Path) -> None:
    _, packaged = package(CONFIGS[1])
    images = raw_samples(6).reshape(6, 3, 4)
    np.save(tmp_path / "images.npy", images)
    scored = score(packaged, tmp_path / "images.npy", tmp_path / "out" / "scores.npz")
    assert scored["outputs"] == {"reconstruction": [6, 12], "code": [6, 5], "reconstruction_error": [6, 1]}
    written = np.load(tmp_path / "out" / "scores.npz")
    expected = packaged.outputs(images.reshape(6, 12))
    assert set(written) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(written[name], expected[name])


def test_scores_are_written_as_one_array_of_all_columns(package, tmp_path: Path) -> None:
    _, packaged = package(CONFIGS[1])
    np.save(tmp_path / "in.npy", raw_samples(6))
    score(packaged, tmp_path / "in.npy", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), packaged.predict(raw_samples(6).astype(np.float32)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((4, 11)), "12 values"),
        (np.zeros((0, 12)), "12 values"),
        (np.zeros(12), "samples first"),
        (np.array([["a", "b"]]), "of numbers"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_requirement(package, tmp_path: Path, content, words: str) -> None:
    _, packaged = package(CONFIGS[1])
    if content is not None:
        np.save(tmp_path / "in.npy", content)
    with pytest.raises(InputError, match=words):
        score(packaged, tmp_path / "in.npy", tmp_path / "out.npz")


def test_an_output_of_another_format_is_refused_before_reading(package, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.npz"):
        score(package(CONFIGS[1])[1], tmp_path / "none.npy", tmp_path / "out.csv")


def test_nothing_is_unpickled_even_if_the_environment_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pytorch
    from mlflow.exceptions import MlflowException

    mlflow.pytorch.save_model(
        torch.nn.Linear(3, 1),
        str(tmp_path / "pickled"),
        pip_requirements=["torch"],
        metadata={"columns": {"code": [0, 1]}},
        serialization_format="pickle",
    )
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    with pytest.raises(MlflowException, match=r"(?i)pickle"):
        PackagedModel.load(tmp_path / "pickled")
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "true"


def test_an_output_of_another_format_is_refused_before_a_model_is_downloaded(tmp_path: Path) -> None:
    nowhere: Any = None  # never used
    with pytest.raises(InputError, match=r"\.npz"):
        score_by_alias(nowhere, "digits@champion", tmp_path / "in.npy", tmp_path / "out.csv")

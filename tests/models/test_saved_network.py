"""The file of a network: settings that fit its tensors, or an error before anything is built."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.models import saved_network, tensor_file
from sweeps.models.build import build_network, load_network
from sweeps.models.config import DeepConfig, LinearConfig, ModelConfig, ShallowConfig, StackedDenoisingConfig
from sweeps.models.config.limits import MAX_LAYERS
from sweeps.models.errors import ModelError
from sweeps.models.networks.network import Network

SHALLOW = ShallowConfig(hidden_size=5)
LARGE, MAX_UNITS = 10**12, 100_000


def content(built: ModelConfig = SHALLOW, **changes: Any) -> dict[str, Any]:
    network = build_network(built, input_size=12, n_classes=3, seed=5)
    values: dict[str, Any] = tensor_file.loads(saved_network.dumps(built, network))
    return values | changes


def section(model: ModelConfig, **changes: Any) -> dict[str, Any]:
    return model.model_dump(mode="json") | changes


def issue(path: Path, values: Any) -> str:
    path.write_bytes(tensor_file.dumps(values))
    with pytest.raises(ModelError) as refused:
        load_network(path)
    (line,) = refused.value.issues
    assert line.startswith(f"{path} must")
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input_size": LARGE}, "not torch.float32 ["),
        ({"input_size": 10**30}, "no network can have the sizes of the settings"),
        ({"model": section(SHALLOW, hidden_size=MAX_UNITS)}, "not torch.float32 ["),
        ({"model": section(DeepConfig(), hidden_sizes=[MAX_UNITS] * 8)}, "the settings have more layers"),
        ({"model": section(DeepConfig(), hidden_sizes=[2] * MAX_LAYERS)}, "the settings have more layers"),
        ({"model": section(DeepConfig(), decoder_sizes=[2] * MAX_LAYERS)}, "the settings have more layers"),
        ({"model": section(StackedDenoisingConfig(), hidden_sizes=[2]), "n_classes": 3}, "is missing"),
        ({"model": section(StackedDenoisingConfig()), "n_classes": None}, "needs data with labels"),
        ({"fills_missing": True}, "preprocessing.mean is missing"),
        ({"state_dict": {}}, "the settings have more layers"),
    ],
)
def test_settings_that_the_file_has_no_tensors_for_build_nothing(
    tmp_path: Path, changes: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_shapes(*settings: Any) -> Network:
        assert torch.get_default_device().type == "meta", "memory was allocated"
        return build(*settings)

    build, values = saved_network.zero_network, content(**changes)
    monkeypatch.setattr(saved_network, "zero_network", build_shapes)
    line = issue(tmp_path / "best.safetensors", values)
    assert "must hold a network and the settings it was built from, and they differ" in line
    assert reason in line


@pytest.mark.parametrize(
    "settings", [{"hidden_sizes": [LARGE]}, {"hidden_sizes": [2] * 1_000_000}, {"code_size": LARGE}]
)
def test_settings_beyond_the_limits_of_a_sweep_file_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    values = content(model=section(DeepConfig(), **settings))
    assert "must be a network saved by this package, and holds something else" in issue(tmp_path / "n", values)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.complex64])
def test_tensors_of_another_dtype_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    values = content()
    values["state_dict"]["encoder.bias"] = values["state_dict"]["encoder.bias"].to(dtype)
    assert f"encoder.bias is {dtype}" in issue(tmp_path / "best.safetensors", values)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "another"}, {"model": {"name": "shallow", "hidden": 3}}, {"model": "shallow"}, {"input_size": 0},
        {"input_size": -3}, {"input_size": "many"}, {"input_size": math.inf}, {"n_classes": 0}, {"fills_missing": 3},
        {"state_dict": {"encoder.weight": 3.0}}, {"state_dict": {1: torch.ones(2)}}, {"state_dict": [torch.ones(2)]},
    ],
)  # fmt: skip
def test_other_contents_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "saved by this package, and holds something else" in issue(tmp_path / "best.safetensors", content(**changes))


@pytest.mark.parametrize("values", [None, 3, [1], {}, {"parameters": {}, "metrics": []}, {"sweeps": {"epoch": 3}}])
def test_files_of_other_kinds_are_refused(tmp_path: Path, values: Any) -> None:
    assert "saved by this package, and holds something else" in issue(tmp_path / "best.safetensors", values)


@pytest.mark.parametrize(
    "model",
    [
        LinearConfig(),
        DeepConfig(hidden_sizes=(8, 6), code_size=2, tied_weights=True, biases=False),  # three tensors, five layers
        DeepConfig(hidden_sizes=(), code_size=1, biases=False),
        DeepConfig(hidden_sizes=(), code_size=1, decoder_sizes=(3,) * 9, biases=False),
    ],
)
def test_the_fewest_tensors_for_their_layers_are_read(tmp_path: Path, model: ModelConfig) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(tensor_file.dumps(content(model)))
    saved = saved_network.read(path)
    assert saved.model == model
    assert type(saved.network).__name__ == type(build_network(model, input_size=12, n_classes=3, seed=5)).__name__


def test_a_network_is_read_with_its_weights(tmp_path: Path) -> None:
    network = build_network(SHALLOW, input_size=12, n_classes=3, seed=5)
    path = tmp_path / "best.safetensors"
    path.write_bytes(saved_network.dumps(SHALLOW, network))
    restored = saved_network.read(path).network.state_dict()
    assert restored.keys() == network.state_dict().keys()
    assert all(torch.equal(restored[name], tensor) for name, tensor in network.state_dict().items())


def test_a_file_that_does_not_say_whether_missing_values_are_filled_fills_none(tmp_path: Path) -> None:
    values = content()
    assert values.pop("fills_missing") is False
    (tmp_path / "best.pt").write_bytes(tensor_file.dumps(values))
    assert not load_network(tmp_path / "best.pt").preprocessing.fills_missing

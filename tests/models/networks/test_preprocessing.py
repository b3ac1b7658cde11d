"""A network that standardises features takes and returns raw values, and measures errors in units of deviations."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from sweeps.models import tensor_file
from sweeps.models.build import build_network, build_phases, load_network, save_network
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.errors import ModelError
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.metrics import References
from sweeps.models.networks.network import Network
from sweeps.models.training.objectives import Reconstruction
from sweeps.models.training.validation import Validation

SCALES = 10.0 ** np.linspace(-13, 8.5, 12)
VALUES = torch.randn(200, 12, generator=torch.Generator().manual_seed(0)).double().numpy() + 2
TABLE = (VALUES * SCALES).astype(np.float32)
TABLE[:, 4] = 5.0  # constant in training
STATISTICS = feature_statistics(TABLE, 1.0)
RAW = torch.from_numpy(TABLE)
Z = torch.from_numpy(STATISTICS.standardize(TABLE)).float()
VARIES = torch.from_numpy(STATISTICS.deviation > 0)

STACK = {
    "name": "stacked_denoising",
    "hidden_sizes": [7, 5],
    "output_activation": "linear",
    "loss": "mse",
    "noise": {"level": 0.0},
    "fine_tuning": "reconstruction",
    "pretraining": {"epochs": 1},
}
SETTINGS: list[dict[str, Any]] = [
    {"name": "linear"},
    {"name": "shallow", "hidden_size": 5},
    {"name": "shallow", "hidden_size": 5, "tied_weights": True},
    {"name": "deep", "hidden_sizes": [8], "code_size": 3},
    STACK,
]
every_family = pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["name"])


def config(settings: dict[str, Any], standardize: str = "feature") -> ModelConfig:
    model: ModelConfig = TypeAdapter(ModelConfig).validate_python({**settings, "standardize": standardize})
    return model


def network_of(settings: dict[str, Any], standardize: str = "feature") -> Network:
    model = config(settings, standardize)
    return build_network(model, input_size=12, n_classes=None, seed=1, statistics=STATISTICS)


def objective_of(settings: dict[str, Any], **noise: Any) -> Reconstruction:
    model = config({**settings, **({"noise": noise} if noise else {})})
    phases = build_phases(model, TrainingConfig(seed=1), input_size=12, n_classes=None, statistics=STATISTICS)
    objective = phases[-1].member.objective
    assert isinstance(objective, Reconstruction)
    return objective


@every_family
def test_it_standardises_on_the_way_in_and_restores_on_the_way_out(settings: dict[str, Any]) -> None:
    within = network_of(settings, "none")(Z)
    network = network_of(settings)
    activations = network(RAW)
    expected = STATISTICS.restore(within.reconstruction.detach().double().numpy())

    np.testing.assert_allclose(activations.reconstruction.detach().numpy() / SCALES, expected / SCALES, atol=1e-4)
    torch.testing.assert_close(network.encode(RAW)[:, VARIES] if settings["name"] == "linear" else network.encode(RAW),
                               within.code[:, VARIES] if settings["name"] == "linear" else within.code,
                               atol=1e-4, rtol=1e-4)  # fmt: skip
    torch.testing.assert_close(network.decode(activations.code), activations.reconstruction)
    assert (activations.reconstruction[:, 4] == 5).all(), "a constant feature is its mean"


@every_family
def test_loss_and_metrics_compare_standardised_values(settings: dict[str, Any]) -> None:
    within = network_of(settings, "none")(Z).reconstruction
    expected = (torch.where(VARIES, within, 0.0) - Z).square().mean().item()
    references = References(np.linspace(1.0, 0.0, 13))
    objective = objective_of(settings)
    validation = Validation(objective.network, objective.noise, references)
    validation.update([RAW])
    metrics = validation.metrics()

    assert objective([RAW], torch.Generator()).item() == pytest.approx(expected, rel=1e-4)
    assert metrics["mse"] == pytest.approx(expected, rel=1e-4)
    assert metrics["r2"] == pytest.approx(1 - expected, rel=1e-3, abs=1e-4)


def test_a_feature_that_was_constant_in_training_adds_no_error_and_no_gradient() -> None:
    objective = objective_of({"name": "linear"})
    changed = RAW.clone()
    changed[:, 4] = 1e6

    loss = objective([changed], torch.Generator())
    loss.backward()  # type: ignore[no-untyped-call]

    assert loss.item() == pytest.approx(objective([RAW], torch.Generator()).item())
    gradient = objective.network.layer.weight.grad  # type: ignore[attr-defined]
    assert not gradient[4].any()
    assert not gradient[:, 4].any()
    assert torch.isfinite(gradient).all()


def test_an_error_far_smaller_than_the_mean_is_not_rounded_away() -> None:
    far = (1e6 + np.random.default_rng(0).normal(size=(300, 12))).astype(np.float32)
    statistics = feature_statistics(far, 1.0)
    model = config({"name": "linear", "initialization": "identity"})
    network = build_network(model, input_size=12, n_classes=None, seed=0, statistics=statistics)

    assert network(torch.from_numpy(far)).error(torch.from_numpy(far)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("masking", STATISTICS.mean), ("salt_and_pepper", None)],
)
def test_noise_replaces_standardised_values(kind: str, expected: Any) -> None:
    objective = objective_of({"name": "shallow"}, kind=kind, level=1.0)
    seen: list[Tensor] = []
    objective.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))  # type: ignore[attr-defined]
    objective([RAW], torch.Generator())

    noisy = STATISTICS.standardize(seen[0].numpy())
    if expected is not None:
        np.testing.assert_allclose(noisy, 0, atol=1e-6)
    else:
        values = np.unique(np.round(noisy, 4))
        np.testing.assert_allclose(values, [0, 1], atol=1e-3)


def test_gaussian_noise_is_in_units_of_each_features_deviation() -> None:
    objective = objective_of({"name": "shallow"}, kind="gaussian", level=0.5)
    seen: list[Tensor] = []
    objective.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))  # type: ignore[attr-defined]
    objective([RAW], torch.Generator().manual_seed(0))

    spread = (STATISTICS.standardize(seen[0].numpy()) - Z.numpy()).std(axis=0)
    np.testing.assert_allclose(spread, np.where(VARIES, 0.5, 0), rtol=0.25)


@every_family
def test_the_statistics_are_part_of_the_saved_network(settings: dict[str, Any], tmp_path: Path) -> None:
    network = network_of(settings)
    save_network(tmp_path / "n.safetensors", config(settings), network)
    loaded = load_network(tmp_path / "n.safetensors")

    torch.testing.assert_close(loaded(RAW).reconstruction, network(RAW).reconstruction, rtol=0, atol=0)


def test_networks_that_need_no_statistics_have_no_buffers() -> None:
    for standardize in ("none", "sample"):
        network = network_of({"name": "shallow"}, standardize)
        assert sorted(network.state_dict()) == ["decoder.bias", "decoder.weight", "encoder.bias", "encoder.weight"]


def test_a_file_of_an_earlier_version_is_read() -> None:
    model, content = config({"name": "shallow"}, "none"), io.BytesIO()
    network = build_network(model, input_size=12, n_classes=None, seed=1)
    save_network(content, model, network)
    saved = tensor_file.loads(content.getvalue())
    del saved["fills_missing"]
    older = io.BytesIO()
    torch.save(saved, older)

    class Stored:
        def read_bytes(self) -> bytes:
            return older.getvalue()

    torch.testing.assert_close(load_network(Stored())(RAW).reconstruction, network(RAW).reconstruction)


def test_a_stack_shares_its_preprocessing_with_the_first_layer_only() -> None:
    stack: Any = network_of(STACK)

    assert [stack.layer(k).preprocessing.standardization for k in (0, 1)] == ["feature", "none"]
    assert stack.layer(0).preprocessing is stack.preprocessing
    torch.testing.assert_close(stack.inputs_of_layer(1, RAW), stack.unrolled.encoder[0](Z), atol=1e-4, rtol=1e-4)
    assert {"preprocessing.mean", "preprocessing.deviation"} <= stack.layer(0).state_dict().keys()


def test_features_of_all_scales_are_learnt(fit, batches) -> None:  # type: ignore[no-untyped-def]
    latent = np.random.default_rng(1).normal(size=(400, 2)) @ np.random.default_rng(2).normal(size=(2, 12))
    raw = ((latent + 1) * SCALES).astype(np.float32)
    training = TrainingConfig(epochs=40, batch_size=20, learning_rate=0.01)
    model = config({"name": "shallow", "hidden_size": 2, "activation": "linear"})
    statistics = feature_statistics(raw, 1.0)
    (phase,) = build_phases(model, training, input_size=12, n_classes=None, statistics=statistics)
    fit(phase.member, batches(torch.from_numpy(raw), size=20), batches(torch.from_numpy(raw), size=400), epochs=40)

    reconstruction = phase.member.network(torch.from_numpy(raw)).reconstruction.detach().numpy()
    explained = 1 - np.square((reconstruction - raw) / SCALES).sum(axis=0) / np.square(
        (raw / SCALES) - (raw / SCALES).mean(axis=0)
    ).sum(axis=0)
    assert explained.min() > 0.95
    assert phase.member.metrics["valid/mse"] < 0.05


def test_it_is_refused_without_linear_outputs_or_without_statistics() -> None:
    with pytest.raises(ValidationError, match="set output_activation to linear, not sigmoid"):
        config({"name": "shallow", "output_activation": "sigmoid"})
    with pytest.raises(ValidationError, match="set output_activation to linear and loss to mse, not sigmoid and bce"):
        config({"name": "shallow", "output_activation": "sigmoid", "loss": "bce"})
    with pytest.raises(ModelError, match="needs the statistics of the training split"):
        build_network(config({"name": "shallow"}), input_size=12, n_classes=None, seed=0)

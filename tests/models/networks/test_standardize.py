"""A standardising model takes and returns raw values."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from sweeps.models.build import build_network, build_phases, load_network, save_network
from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.networks.network import Network
from sweeps.models.networks.standardize import standardize

RAW = 1.109 + 0.00124 * torch.randn(400, 12, generator=torch.Generator().manual_seed(0))
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
    {"name": "deep", "hidden_sizes": [8], "code_size": 3},
    STACK,
]


def config(settings: dict[str, Any]) -> ModelConfig:
    model: ModelConfig = TypeAdapter(ModelConfig).validate_python({**settings, "standardize": "sample"})
    return model


def network_of(settings: dict[str, Any], **changed: Any) -> Network:
    return build_network(config({**settings, **changed}), input_size=12, n_classes=None, seed=1)


def plain(settings: dict[str, Any]) -> Network:
    """A network with the same weights, without standardisation."""
    model: ModelConfig = TypeAdapter(ModelConfig).validate_python(settings)
    return build_network(model, input_size=12, n_classes=None, seed=1)


def columns(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(dim=1, keepdim=True), x.std(dim=1, keepdim=True, correction=0)


def test_each_sample_gets_mean_0_and_deviation_1() -> None:
    values = standardize(RAW.double()).values

    torch.testing.assert_close(values.mean(dim=1), torch.zeros(400, dtype=torch.float64), atol=1e-10, rtol=0)
    torch.testing.assert_close(values.std(dim=1, correction=0), torch.ones(400, dtype=torch.float64))


@pytest.mark.parametrize("value", [0.0, 1.109, -3e8, 1e-20])
def test_a_constant_sample_is_0_and_comes_back_as_it_was(value: float) -> None:
    constant = torch.full((2, 84), value)
    standardized = standardize(constant)

    assert torch.equal(standardized.values, torch.zeros(2, 84))
    torch.testing.assert_close(standardized.restore(torch.rand(2, 84)), constant)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["name"])
def test_a_model_standardises_on_the_way_in_and_restores_on_the_way_out(settings: dict[str, Any]) -> None:
    mean, deviation = columns(RAW)
    within = plain(settings)((RAW - mean) / deviation)

    activations = network_of(settings)(RAW)

    torch.testing.assert_close(activations.reconstruction, within.reconstruction * deviation + mean)
    torch.testing.assert_close(network_of(settings).encode(RAW), within.code, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["name"])
def test_the_loss_compares_standardised_values(settings: dict[str, Any]) -> None:
    mean, deviation = columns(RAW)
    standardized = (RAW - mean) / deviation
    training = TrainingConfig(epochs=1)
    objective = build_phases(config(settings), training, input_size=12, n_classes=None)[-1].member.objective
    within = objective.network(RAW)  # type: ignore[attr-defined]
    expected = ((within.reconstruction - mean) / deviation - standardized).square().mean()

    loss = objective([RAW], torch.Generator())

    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-6)
    assert loss > 0.01  # the raw error is about 1e-6


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["name"])
def test_a_constant_sample_trains_nothing_and_breaks_nothing(settings: dict[str, Any]) -> None:
    phases = build_phases(config(settings), TrainingConfig(epochs=1), input_size=12, n_classes=None)
    module = phases[-1].member

    loss = module.objective([torch.full((3, 12), 1.1)], torch.Generator())
    loss.backward()  # type: ignore[no-untyped-call]

    assert loss == 0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in module.parameters())


def test_only_the_first_layer_of_a_stack_standardises() -> None:
    stack = network_of(STACK)
    mean, deviation = columns(RAW)

    codes = stack.inputs_of_layer(1, RAW)  # type: ignore[attr-defined]

    expected = stack.unrolled.encoder[0]((RAW - mean) / deviation)  # type: ignore[attr-defined]
    torch.testing.assert_close(codes, expected, atol=1e-3, rtol=1e-3)
    assert [stack.layer(k).preprocessing.standardization for k in (0, 1)] == ["sample", "none"]  # type: ignore[attr-defined]


def test_standardised_samples_are_learnt_and_raw_ones_are_not(fit, batches) -> None:  # type: ignore[no-untyped-def]
    variance = float(((RAW - RAW.mean(dim=0)) ** 2).mean())
    r2 = []
    for standardize_ in ("none", "sample"):
        model = config({"name": "linear"}).model_copy(update={"standardize": standardize_})
        training = TrainingConfig(epochs=60, batch_size=20, optimizer="sgd", learning_rate=0.05, validate_every=60)
        (phase,) = build_phases(model, training, input_size=12, n_classes=None)
        fit(phase.member, batches(RAW, size=20), batches(RAW, size=400), epochs=60, validate_every=60)
        r2.append(1 - phase.member.metrics["valid/mse"] / variance)

    assert r2[0] < 0.01
    assert r2[1] > 0.99


def test_a_saved_network_takes_and_returns_raw_values(tmp_path: Path) -> None:
    model = config({"name": "linear", "initialization": "identity"})
    save_network(tmp_path / "n.safetensors", model, build_network(model, input_size=12, n_classes=None, seed=0))

    torch.testing.assert_close(load_network(tmp_path / "n.safetensors")(RAW).reconstruction, RAW, rtol=0, atol=1e-6)


def test_outputs_that_cannot_be_restored_are_refused() -> None:
    with pytest.raises(ValidationError, match="set output_activation to linear, not sigmoid"):
        config({"name": "shallow", "output_activation": "sigmoid"})

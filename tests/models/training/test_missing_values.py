"""Missing values (NaN) are filled on the way in, and no loss, gradient or metric depends on them."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter

from sweeps.models.build import Phase, build_phases, load_network, save_network
from sweeps.models.config import ModelConfig, Standardization, TrainingConfig
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.metrics import References
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.network import Activations
from sweeps.models.networks.preprocessing import Preprocessing
from sweeps.models.networks.standardize import standardize
from sweeps.models.training.losses import ReconstructionLoss, reconstruction_loss
from sweeps.models.training.validation import Validation

Floats = NDArray[np.float64]

RNG = np.random.default_rng(0)
COMPLETE = RNG.uniform(0.1, 0.9, (60, 6)).astype(np.float32)
MISSING = RNG.random(COMPLETE.shape) < 0.3
MISSING[:, 0] = False
TABLE = np.where(MISSING, np.float32(np.nan), COMPLETE)
STATISTICS = feature_statistics(TABLE, 1.0)
STACK = {
    "name": "stacked_denoising",
    "hidden_sizes": [5, 3],
    "output_activation": "linear",
    "loss": "mse",
    "fine_tuning": "reconstruction",
    "pretraining": {"epochs": 2},
}
FAMILIES: list[dict[str, Any]] = [
    {"name": "linear"},
    {"name": "shallow", "hidden_size": 4, "noise": {"level": 0.2}},
    {"name": "deep", "hidden_sizes": [5], "code_size": 2, "noise": {"kind": "gaussian", "level": 0.2}},
    STACK,
]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["name"])
every_standardization = pytest.mark.parametrize("standardization", ["none", "sample", "feature"])


def phases(family: dict[str, Any], standardization: str = "none", seed: int = 0) -> list[Phase]:
    model: ModelConfig = TypeAdapter(ModelConfig).validate_python({**family, "standardize": standardization})
    training = TrainingConfig(learning_rate=0.01, seed=seed)
    return build_phases(model, training, input_size=6, n_classes=None, statistics=STATISTICS)


def unit_of(standardization: str, target: Floats) -> Floats:
    """The unit of the loss at each value, by NumPy."""
    if standardization == "feature":
        return np.broadcast_to(STATISTICS.deviation, target.shape)
    if standardization == "sample":
        return np.broadcast_to(np.nanstd(target, axis=1, keepdims=True), target.shape)
    return np.ones(target.shape)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["mse", "bce"]),
    reduction=st.sampled_from(["mean", "sum"]),
    standardization=st.sampled_from(["none", "sample", "feature"]),
)
def test_the_loss_is_that_of_the_present_values_and_its_gradient_is_0_elsewhere(
    seed: int, kind: Literal["mse", "bce"], reduction: Literal["mean", "sum"], standardization: Standardization
) -> None:
    rng = np.random.default_rng(seed)
    target = rng.uniform(0, 1, (7, 6))
    target[rng.random(target.shape) < 0.4] = np.nan
    target[:, :2] = rng.uniform(0, 1, (7, 2))  # a sample with one value has no deviation
    preprocessing = Preprocessing(6, "none" if kind == "bce" else standardization).double()
    preprocessing.set_statistics(STATISTICS)
    x, logits = torch.from_numpy(target), torch.from_numpy(rng.normal(size=(7, 6))).requires_grad_()
    _, standardized = preprocessing(x)
    output = Activations(torch.empty(0), logits, (), "sigmoid" if kind == "bce" else "linear")
    activations = output.restored(preprocessing, standardized)

    loss = reconstruction_loss(activations, x, ReconstructionLoss(kind, reduction))
    (gradient,) = torch.autograd.grad(loss, logits)

    present = ~np.isnan(target)
    reconstruction = activations.reconstruction.detach().numpy()
    if kind == "bce":
        values = -(target * np.log(reconstruction) + (1 - target) * np.log(1 - reconstruction))
    else:
        values = np.square((reconstruction - target) / unit_of(standardization, target))
    total = values[present].sum()
    expected = total / present.sum() if reduction == "mean" else total / len(target)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert (gradient.numpy()[~present] == 0).all()
    assert (gradient.numpy()[present] != 0).all()


def test_a_batch_without_any_value_has_no_loss() -> None:
    member = phases({"name": "shallow"})[-1].member
    loss = member.objective([torch.full((3, 6), torch.nan)], torch.Generator())
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert all(torch.isfinite(parameter.grad).all() for parameter in member.parameters() if parameter.grad is not None)


@every_family
@pytest.mark.parametrize("standardization", ["none", "feature"])
def test_a_missing_input_is_taken_for_the_mean_of_its_feature(family: dict[str, Any], standardization: str) -> None:
    network = phases(family, standardization)[-1].member.network
    filled = np.where(MISSING, STATISTICS.mean, COMPLETE).astype(np.float32)

    found, expected = network(torch.from_numpy(TABLE)), network(torch.from_numpy(filled))
    torch.testing.assert_close(found.reconstruction, expected.reconstruction)
    torch.testing.assert_close(network.encode(torch.from_numpy(TABLE)), expected.code)


def test_a_sample_is_standardised_by_its_present_values() -> None:
    filled = np.where(MISSING, STATISTICS.mean, COMPLETE)
    mean, deviation = np.nanmean(TABLE, axis=1, keepdims=True), np.nanstd(TABLE, axis=1, keepdims=True)
    standardized = standardize(torch.from_numpy(filled), torch.from_numpy(~MISSING))

    varies = deviation > 1e-6
    np.testing.assert_allclose(standardized.values, np.where(varies, (filled - mean) / deviation, 0), atol=1e-5)
    np.testing.assert_allclose(standardized.mean, mean, atol=1e-6)


@every_standardization
def test_metrics_are_means_over_the_present_values(standardization: str) -> None:
    network = phases({"name": "shallow", "hidden_size": 4}, standardization)[-1].member.network
    validation = Validation(network, Noise("masking", 1.0), References(np.linspace(2.0, 0.0, 7)))
    for rows in np.split(TABLE, [25]):  # batches with different numbers of values
        validation.update([torch.from_numpy(rows)])
    metrics = validation.metrics()

    unit = STATISTICS.deviation if standardization == "feature" else 1
    errors = np.square((network(torch.from_numpy(TABLE)).reconstruction.detach().numpy() - TABLE) / unit)
    assert metrics["mse"] == pytest.approx(np.nanmean(errors), rel=1e-4)
    assert metrics["r2"] == pytest.approx(1 - np.nanmean(errors) / 2, rel=1e-4)
    if standardization == "feature":  # masked values are then the mean
        at_mean = network(torch.from_numpy(STATISTICS.mean[None]).float()).reconstruction.detach().numpy()
        assert metrics["denoise_mse"] == pytest.approx(np.nanmean(np.square((at_mean - TABLE) / unit)), rel=1e-4)


@every_family
@every_standardization
def test_every_family_trains_and_a_stack_of_networks_trains_as_each_alone(
    fit: Any, batches: Any, family: dict[str, Any], standardization: str
) -> None:
    table = torch.from_numpy(TABLE)
    packed = [phases(family, standardization, seed) for seed in (0, 1)]
    alone = [phases(family, standardization, seed) for seed in (0, 1)]
    together, apart = ([of[-1].member for of in trained] for trained in (packed, alone))
    fit(together, batches(table, size=20), batches(table), epochs=3, stacks=True)
    for member in apart:
        fit(member, batches(table, size=20), batches(table), epochs=3)

    for one, other in zip(together, apart, strict=True):
        assert one.error is None
        assert one.metrics == pytest.approx(other.metrics, rel=1e-3, abs=1e-6)
        assert all(torch.isfinite(parameter).all() for parameter in one.parameters())


def test_the_first_layer_of_a_stack_pretrains_on_the_present_values(fit: Any, batches: Any) -> None:
    first, second, _ = phases(STACK, "feature")
    table = torch.from_numpy(TABLE)
    fit(first.member, batches(table, size=20), epochs=2)
    assert second.inputs is not None
    codes = second.inputs(table).detach()
    fit(second.member, batches(codes, size=20), epochs=2)

    assert torch.isfinite(codes).all()
    assert np.isfinite(first.member.metrics["train/loss"])


def test_a_saved_network_still_fills_missing_values(tmp_path: Any) -> None:
    model: ModelConfig = TypeAdapter(ModelConfig).validate_python({"name": "shallow"})
    network = phases({"name": "shallow"})[-1].member.network
    save_network(tmp_path / "n.safetensors", model, network)

    loaded = load_network(tmp_path / "n.safetensors")(torch.from_numpy(TABLE)).reconstruction
    torch.testing.assert_close(loaded, network(torch.from_numpy(TABLE)).reconstruction, rtol=0, atol=0)


def test_without_missing_values_nothing_is_filled_or_masked() -> None:
    statistics = feature_statistics(COMPLETE, 1.0)
    model: ModelConfig = TypeAdapter(ModelConfig).validate_python({"name": "shallow"})
    built = build_phases(model, TrainingConfig(), input_size=6, n_classes=None, statistics=statistics)
    network = built[-1].member.network

    assert not network.preprocessing.fills_missing
    assert network(torch.from_numpy(COMPLETE)).preprocessing is None

import numpy as np
import pytest
import torch

from sweeps.models.metrics import References
from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.network import initialise
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.validation import Validation

INPUTS = torch.rand(50, 8, generator=torch.Generator().manual_seed(0))
QUIET = Noise()


def network() -> ShallowAutoencoder:
    built = ShallowAutoencoder(8, 3)
    initialise(built, torch.Generator().manual_seed(0))
    return built


def measured(validation: Validation, *batches: tuple[torch.Tensor, ...]) -> dict[str, float]:
    validation.start("cpu")
    for batch in batches:
        validation.update(batch)
    return validation.metrics()


def test_mse_is_the_mean_over_samples_and_features_of_uneven_batches() -> None:
    built = network()
    expected = np.mean((built(INPUTS).reconstruction - INPUTS).detach().double().numpy() ** 2)

    metrics = measured(Validation(built, QUIET), *((rows,) for rows in INPUTS.split(16)))

    assert metrics["mse"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [7, 16])
def test_metrics_do_not_depend_on_the_batches(size: int) -> None:
    validation = Validation(network(), QUIET, References(np.linspace(1, 0, 9)))

    whole = measured(validation, (INPUTS,))
    parts = measured(validation, *((rows,) for rows in INPUTS.split(size)))

    assert parts == pytest.approx(whole, rel=1e-6)
    assert set(whole) == {"mse", "r2", "mse_over_pca", "code_sparsity", "dead_units"}


def test_references_have_the_size_of_the_code() -> None:
    pca_mse = np.array([0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0])
    metrics = measured(Validation(network(), QUIET, References(pca_mse)), (INPUTS,))

    assert metrics["mse_over_pca"] == pytest.approx(metrics["mse"] / 0.2)
    assert metrics["r2"] == pytest.approx(1 - metrics["mse"] / 0.5)


def test_mse_over_pca_is_absent_without_a_bottleneck() -> None:
    wide = ShallowAutoencoder(8, 8)

    assert "mse_over_pca" not in measured(Validation(wide, QUIET, References(np.linspace(1, 0, 9))), (INPUTS,))


def test_denoising_is_compared_with_the_clean_input_and_only_measured_under_noise() -> None:
    identity = ShallowAutoencoder(8, 8, activation="linear")
    with torch.no_grad():
        identity.encoder.weight.copy_(torch.eye(8))
        identity.decoder.weight.copy_(torch.eye(8))

    metrics = measured(Validation(identity, Noise("masking", 1.0)), (INPUTS,))

    assert metrics["mse"] == 0
    assert metrics["denoise_mse"] == pytest.approx(INPUTS.square().mean().item(), rel=1e-6)
    assert "denoise_mse" not in measured(Validation(identity, QUIET), (INPUTS,))


def test_every_pass_uses_the_same_noise() -> None:
    built = network()
    validation = Validation(built, Noise("gaussian", 0.5))

    first, second = (measured(validation, (INPUTS,))["denoise_mse"] for _ in range(2))

    assert first == second
    assert first == measured(Validation(built, Noise("gaussian", 0.5)), (INPUTS,))["denoise_mse"]


def test_classification_error_is_the_fraction_of_wrong_labels() -> None:
    stack = StackedDenoisingAutoencoder(8, (4,), n_classes=3)
    with torch.no_grad():
        stack.classifier.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))  # always class 1
    labels = torch.tensor([1] * 30 + [0] * 20)

    metrics = measured(Validation(stack, QUIET), (INPUTS[:25], labels[:25]), (INPUTS[25:], labels[25:]))

    assert metrics["classification_error"] == pytest.approx(0.4)


def test_classification_error_needs_a_softmax_and_labels() -> None:
    labels = torch.zeros(50, dtype=torch.int64)

    for stack, batch in (
        (StackedDenoisingAutoencoder(8, (4,)), (INPUTS, labels)),
        (StackedDenoisingAutoencoder(8, (4,), n_classes=3), (INPUTS,)),
    ):
        assert "classification_error" not in measured(Validation(stack, QUIET), batch)


def test_a_unit_active_in_one_batch_is_not_dead() -> None:
    built = ShallowAutoencoder(2, 2)
    with torch.no_grad():
        built.encoder.weight.copy_(torch.eye(2))
    first, second = torch.zeros(4, 2), torch.tensor([[0.0, 1.0]]).repeat(4, 1)

    assert measured(Validation(built, QUIET), (first,), (second,))["dead_units"] == 0.5


def test_validation_without_batches_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        measured(Validation(network(), QUIET))

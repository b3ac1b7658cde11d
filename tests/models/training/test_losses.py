import numpy as np
import pytest
import torch

from sweeps.models.networks.network import Activations
from sweeps.models.training.losses import ReconstructionLoss, reconstruction_loss

LOGITS = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3)))
TARGET = torch.from_numpy(np.random.default_rng(1).uniform(size=(5, 3)))


def activations(logits: torch.Tensor = LOGITS) -> Activations:
    return Activations(torch.empty(0), logits, output_activation="sigmoid")


def test_squared_error_is_averaged_over_samples_and_features() -> None:
    output = 1 / (1 + np.exp(-LOGITS.numpy()))
    expected = np.mean((output - TARGET.numpy()) ** 2)

    assert reconstruction_loss(activations(), TARGET, ReconstructionLoss("mse")).item() == pytest.approx(expected)


def test_cross_entropy_is_that_of_the_outputs() -> None:
    output, target = 1 / (1 + np.exp(-LOGITS.numpy())), TARGET.numpy()
    expected = -np.mean(target * np.log(output) + (1 - target) * np.log(1 - output))

    assert reconstruction_loss(activations(), TARGET, ReconstructionLoss("bce")).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["mse", "bce"])
def test_sum_reduction_sums_features_and_averages_the_batch(kind: str) -> None:
    mean = reconstruction_loss(activations(), TARGET, ReconstructionLoss(kind, "mean"))  # type: ignore[arg-type]
    total = reconstruction_loss(activations(), TARGET, ReconstructionLoss(kind, "sum"))  # type: ignore[arg-type]

    assert total.item() == pytest.approx(3 * mean.item())


def test_cross_entropy_stays_finite_where_the_sigmoid_rounds_to_0_or_1() -> None:
    logits = torch.tensor([[-200.0, 200.0]])
    wrong = torch.tensor([[1.0, 0.0]])

    assert reconstruction_loss(activations(logits), wrong, ReconstructionLoss("bce")).item() == pytest.approx(200)

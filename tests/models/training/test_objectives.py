from itertools import product

import pytest
import torch
from torch import Tensor

from sweeps.models.networks.corruption import Noise
from sweeps.models.networks.deep import DeepAutoencoder
from sweeps.models.networks.network import Network, initialise
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.losses import ReconstructionLoss
from sweeps.models.training.objectives import Classification, Objective, Reconstruction
from sweeps.models.training.penalties import Penalties

STEP = 1e-6
PENALTIES = Penalties(weight_l1=0.03, weight_l2=0.2, hidden_l1=0.05)
SUMMED = Penalties(weight_l1=0.003, weight_l2=0.02, hidden_l1=0.005, reduction="sum")


def double(network: Network) -> Network:
    network.double()  # type: ignore[attr-defined]
    initialise(network, torch.Generator().manual_seed(0))
    return network


def inputs(n_samples: int) -> Tensor:
    return torch.rand(n_samples, 6, generator=torch.Generator().manual_seed(n_samples), dtype=torch.float64)


def evaluate(objective: Objective, batch: tuple[Tensor, ...]) -> Tensor:
    """The objective with the same corruption every time."""
    return objective(batch, torch.Generator().manual_seed(5))


def assert_gradients_are_slopes(objective: Objective, batch: tuple[Tensor, ...]) -> None:
    parameters = list(objective.parameters())
    gradients = torch.autograd.grad(evaluate(objective, batch), parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            values, slopes = parameter.view(-1), torch.empty(parameter.numel(), dtype=torch.float64)
            for index in range(len(values)):
                value = values[index].item()
                values[index] = value + STEP
                above = evaluate(objective, batch)
                values[index] = value - STEP
                slopes[index] = (above - evaluate(objective, batch)) / (2 * STEP)
                values[index] = value
            torch.testing.assert_close(gradient.reshape(-1), slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n_samples", [1, 2, 7])
@pytest.mark.parametrize(
    "loss", [ReconstructionLoss(*pair) for pair in product(("mse", "bce"), ("mean", "sum"))], ids=str
)
@pytest.mark.parametrize("tied", [False, True])
def test_gradients_of_a_shallow_network_agree_with_finite_differences(
    n_samples: int, loss: ReconstructionLoss, tied: bool
) -> None:
    network = ShallowAutoencoder(6, 4, activation="sigmoid", output_activation="sigmoid", tied_weights=tied)

    assert_gradients_are_slopes(Reconstruction(double(network), loss), (inputs(n_samples),))


@pytest.mark.parametrize("activation", ["linear", "sigmoid", "tanh", "elu", "relu"])
@pytest.mark.parametrize("penalties", [PENALTIES, SUMMED], ids=["mean", "sum"])
@pytest.mark.parametrize("tied", [False, True])
def test_gradients_of_a_penalised_deep_network_agree_with_finite_differences(
    activation: str, penalties: Penalties, tied: bool
) -> None:
    network = DeepAutoencoder(6, (5, 4), 2, activation=activation, tied_weights=tied)  # type: ignore[arg-type]

    assert_gradients_are_slopes(Reconstruction(double(network), penalties=penalties), (inputs(7),))


@pytest.mark.parametrize("kind", ["masking", "gaussian", "salt_and_pepper"])
def test_gradients_under_noise_agree_with_finite_differences(kind: str) -> None:
    network = double(ShallowAutoencoder(6, 4, activation="tanh"))
    objective = Reconstruction(network, noise=Noise(kind, 0.4), penalties=PENALTIES)  # type: ignore[arg-type]

    assert_gradients_are_slopes(objective, (inputs(7),))


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_of_a_stack_agree_with_finite_differences(tied: bool) -> None:
    network = StackedDenoisingAutoencoder(6, (5, 4, 3), tied_weights=tied)
    objective = Reconstruction(double(network), ReconstructionLoss("bce", "sum"), penalties=PENALTIES)

    assert_gradients_are_slopes(objective, (inputs(7),))


def test_gradients_of_a_classifier_agree_with_finite_differences() -> None:
    network = StackedDenoisingAutoencoder(6, (5, 4), n_classes=3)
    double(network)
    with torch.no_grad():  # weights of 0 are a kink of their own penalty
        network.classifier.weight.add_(torch.linspace(-1, 1, 12).view(3, 4))

    assert_gradients_are_slopes(Classification(network, PENALTIES), (inputs(7), torch.tensor([0, 1, 2, 0, 1, 2, 0])))


def test_a_denoiser_is_compared_with_the_clean_input() -> None:
    network = ShallowAutoencoder(6, 6, activation="linear")
    with torch.no_grad():  # the identity: it returns the noise it is given
        network.encoder.weight.copy_(torch.eye(6))
        network.decoder.weight.copy_(torch.eye(6))
    clean = torch.full((4, 6), 0.5)

    loss = Reconstruction(network, noise=Noise("masking", 1.0))((clean,), torch.Generator())

    assert loss.item() == pytest.approx(0.25)


def test_the_hidden_penalty_sees_the_noise() -> None:
    network = ShallowAutoencoder(6, 6, activation="linear")
    with torch.no_grad():
        network.encoder.weight.copy_(torch.eye(6))
    clean = torch.full((4, 6), 0.5)
    quiet = Reconstruction(network, noise=Noise("masking", 1.0))
    penalised = Reconstruction(network, noise=Noise("masking", 1.0), penalties=Penalties(hidden_l1=1.0))

    assert evaluate(penalised, (clean,)) == evaluate(quiet, (clean,))


def test_a_classifier_is_penalised_for_encoder_and_softmax_alone() -> None:
    network = StackedDenoisingAutoencoder(6, (5, 4), tied_weights=False, n_classes=3)
    initialise(network, torch.Generator().manual_seed(0))
    batch = inputs(3).float(), torch.tensor([0, 1, 2])
    matrices = [layer.weight for layer in network.unrolled.encoder] + [network.classifier.weight]

    with_penalty = evaluate(Classification(network, Penalties(weight_l2=1.0)), batch)
    without = evaluate(Classification(network), batch)

    expected = sum(matrix.square().mean() for matrix in matrices) / 3
    torch.testing.assert_close(with_penalty - without, expected)

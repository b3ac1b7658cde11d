"""Contrastive divergence against its formula, and against the likelihood of machines small enough to enumerate."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeps.models.networks.network import initialise
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.training.contrastive_divergence import ContrastiveDivergence
from sweeps.models.training.member import Member, Optimizer
from sweeps.models.training.penalties import Penalties

Array = NDArray[np.float64]
N_VISIBLE, N_HIDDEN = 6, 4


def machine(activation: str = "sigmoid", *, tied: bool = True, seed: int = 0) -> ShallowAutoencoder:
    layer = ShallowAutoencoder(
        N_VISIBLE,
        N_HIDDEN,
        activation=activation,  # type: ignore[arg-type]
        output_activation="sigmoid",
        tied_weights=tied,
    ).double()
    generator = torch.Generator().manual_seed(seed)
    initialise(layer, generator)
    with torch.no_grad():
        for bias in (layer.encoder.bias, layer.decoder.bias):
            assert bias is not None
            bias.copy_(torch.randn(bias.shape, generator=generator))
    return layer


def pixels(n_samples: int = 7) -> Tensor:
    return torch.rand(n_samples, N_VISIBLE, generator=torch.Generator().manual_seed(n_samples), dtype=torch.float64)


def arrays(layer: ShallowAutoencoder) -> tuple[Array, Array, Array]:
    """W (hidden, visible), c (hidden,), b (visible,)."""
    encoder, bias = layer.encoder, layer.decoder.bias
    assert encoder.bias is not None
    assert bias is not None
    return encoder.weight.detach().numpy(), encoder.bias.detach().numpy(), bias.detach().numpy()


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def one_gibbs_step(layer: ShallowAutoencoder, data: Array, seed: int) -> tuple[Array, Array, Array]:
    """Mean hidden values of the data, the reconstruction, and its mean hidden values, in NumPy."""
    weight, hidden_bias, visible_bias = arrays(layer)
    linear = layer.encoder.activation == "linear"
    mean = (lambda a: a) if linear else sigmoid
    generator = torch.Generator().manual_seed(seed)
    hidden = mean(data @ weight.T + hidden_bias)
    if linear:
        states = hidden + torch.randn(hidden.shape, generator=generator, dtype=torch.float64).numpy()
    else:
        states = torch.bernoulli(torch.from_numpy(hidden), generator=generator).numpy()
    reconstruction = sigmoid(states @ weight + visible_bias)
    return hidden, reconstruction, mean(reconstruction @ weight.T + hidden_bias)


def exact_log_likelihood(layer: ShallowAutoencoder, data: Array) -> float:
    """Mean log p(v) of logistic units, by a sum over all states of the energy E(v, h) = -b v - c h - h W v."""
    weight, hidden_bias, visible_bias = arrays(layer)
    hidden = np.array(list(product((0.0, 1.0), repeat=N_HIDDEN)))
    visible = np.array(list(product((0.0, 1.0), repeat=N_VISIBLE)))

    def log_sum(v: Array) -> Array:
        negative_energy = (v @ visible_bias)[:, None] + (hidden @ hidden_bias)[None] + v @ weight.T @ hidden.T
        total: Array = np.logaddexp.reduce(negative_energy, axis=1)
        return total

    return float(log_sum(data).mean() - np.logaddexp.reduce(log_sum(visible)))


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
@pytest.mark.parametrize("n_samples", [1, 7])
def test_the_gradient_is_the_difference_of_correlations(activation: str, n_samples: int) -> None:
    layer, data = machine(activation), pixels(n_samples)
    objective = ContrastiveDivergence(layer)
    hidden, reconstruction, hidden_again = one_gibbs_step(layer, data.numpy(), seed=5)

    value = objective((data,), torch.Generator().manual_seed(5))
    gradients = torch.autograd.grad(value, list(objective.parameters()))

    expected = [
        (hidden.T @ data.numpy() - hidden_again.T @ reconstruction) / n_samples,
        (hidden - hidden_again).mean(axis=0),
        (data.numpy() - reconstruction).mean(axis=0),
    ]
    for gradient, positive_less_negative in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(-gradient.numpy(), positive_less_negative, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_the_loss_is_the_reconstruction_error(activation: str) -> None:
    layer, data = machine(activation), pixels()
    _, reconstruction, _ = one_gibbs_step(layer, data.numpy(), seed=5)

    value = ContrastiveDivergence(layer)((data,), torch.Generator().manual_seed(5))

    assert value.item() == pytest.approx(np.square(reconstruction - data.numpy()).mean(), rel=1e-9)


def test_penalties_add_their_own_gradient() -> None:
    layer, data = machine(), pixels()
    plain, decayed = ContrastiveDivergence(layer), ContrastiveDivergence(layer, Penalties(weight_l2=1, reduction="sum"))

    gradients = [
        torch.autograd.grad(objective((data,), torch.Generator().manual_seed(5)), layer.encoder.weight)[0]
        for objective in (plain, decayed)
    ]

    torch.testing.assert_close(gradients[1] - gradients[0], 2 * layer.encoder.weight.detach())


def test_untied_decoder_weights_do_not_change() -> None:
    layer = machine(tied=False)
    objective = ContrastiveDivergence(layer)

    objective((pixels(),), torch.Generator()).backward()  # type: ignore[no-untyped-call]

    assert len(list(objective.parameters())) == 3
    assert layer.decoder.weight.grad is None  # type: ignore[union-attr]


def test_the_reported_terms_are_error_and_penalties() -> None:
    layer, data = machine(), pixels()
    with torch.no_grad():
        error, penalty = ContrastiveDivergence(layer, Penalties(hidden_l1=2)).terms(layer(data), (data,))
        expected = (layer(data).reconstruction - data).square().mean()

    assert error.item() == pytest.approx(expected.item())
    assert penalty.item() == pytest.approx(2 * layer.encode(data).mean().item())


def test_training_makes_the_data_more_likely(fit, batches) -> None:  # type: ignore[no-untyped-def]
    left, right = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    data = torch.tensor([left, right] * 50, dtype=torch.float64)
    layer = machine(seed=3)
    before = exact_log_likelihood(layer, data.numpy())

    module = Member(layer, ContrastiveDivergence(layer), Optimizer("sgd", 0.2, momentum=0.5))
    fit(module, batches(data, size=20), epochs=60)

    assert before < -4
    assert exact_log_likelihood(layer, data.numpy()) > -1.5  # -0.69 is the optimum for two equally likely samples

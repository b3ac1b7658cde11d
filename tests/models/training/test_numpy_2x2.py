"""The 2x2 autoencoder that "stops at 0.006": the correct gradient, and the known effect of a faulty one."""

import pytest
import torch
from torch import Tensor

from sweeps.models.build import build_network, build_phases
from sweeps.models.config import DeepConfig, TrainingConfig

ROWS = torch.tensor([[0.37853141, 1.0], [0.59747807, 1.0]])
COLUMN_MEAN_MSE = float((ROWS[1, 0] - ROWS[0, 0]) ** 2 / 8)
MODEL = DeepConfig(
    hidden_sizes=(),
    code_size=1,
    decoder_sizes=(2,),
    activation="sigmoid",
    code_activation="sigmoid",
    biases=False,
    initialization="unit_interval",
)


FAULTY = MODEL.model_copy(update={"activation": "sigmoid_first_row", "code_activation": "sigmoid_first_row"})


def trained_mse(seed: int, n_steps: int, enough: float = 0.0, model: DeepConfig = MODEL) -> float:
    """Train both rows with Adam at 0.01 until the error reaches `enough`; return the last error."""
    training = TrainingConfig(optimizer="adam", learning_rate=0.01, seed=seed)
    (phase,) = build_phases(model, training, input_size=2, n_classes=None)
    optimizer = phase.member.torch_optimizer()
    generator = torch.Generator()
    for _ in range(n_steps):
        loss = phase.member.objective([ROWS], generator)
        if loss.item() <= enough:
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return loss.item()


def agree_with_finite_differences(n_rows: int, model: DeepConfig = MODEL) -> bool:
    network = build_network(model, input_size=2, n_classes=None, seed=0).double()  # type: ignore[attr-defined]
    feature = torch.rand(n_rows, 1, generator=torch.Generator().manual_seed(n_rows), dtype=torch.float64)
    x = torch.cat([feature, torch.ones_like(feature)], dim=1)

    def cost(*weights: Tensor) -> Tensor:
        state = dict(zip(dict(network.named_parameters()), weights, strict=True))
        reconstruction = torch.func.functional_call(network, state, (x,)).reconstruction
        return ((x - reconstruction) ** 2).sum() / (2 * n_rows)

    weights = tuple(network.parameters())
    return torch.autograd.gradcheck(cost, weights, eps=1e-6, atol=1e-6, rtol=0, raise_exception=False)


def test_the_network_of_the_question_has_one_code_unit_and_no_biases() -> None:
    network = build_network(MODEL, input_size=2, n_classes=None, seed=0)

    assert [tuple(parameter.shape) for parameter in network.parameters()] == [(1, 2), (2, 1), (2, 2)]
    assert all(parameter.min() >= 0 and parameter.max() <= 1 for parameter in network.parameters())


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_gradients_agree_with_finite_differences(n_rows: int) -> None:
    assert agree_with_finite_differences(n_rows)


def test_the_faulty_gradient_is_right_for_one_row_only() -> None:
    assert [agree_with_finite_differences(n_rows, FAULTY) for n_rows in (1, 2, 7)] == [True, False, False]


def test_the_mean_of_the_columns_has_the_error_of_the_question() -> None:
    assert pytest.approx(0.005992, abs=5e-7) == COLUMN_MEAN_MSE


def test_the_right_gradient_fits_both_rows() -> None:
    assert trained_mse(seed=0, n_steps=30_000, enough=1e-6) <= 1e-6


def test_the_faulty_gradient_stays_at_the_mean_of_the_columns() -> None:
    assert 3.5e-3 <= trained_mse(seed=0, n_steps=5000, model=FAULTY) <= 1.05 * COLUMN_MEAN_MSE


@pytest.mark.slow
def test_the_right_gradient_fits_both_rows_in_nine_of_ten_seeds() -> None:
    errors = [trained_mse(seed, n_steps=30_000, enough=1e-6) for seed in range(10)]
    assert sum(error <= 1e-6 for error in errors) >= 9, errors


@pytest.mark.slow
def test_the_faulty_gradient_fits_in_no_seed() -> None:
    errors = [trained_mse(seed, n_steps=10_000, model=FAULTY) for seed in range(10)]  # 30,000 steps were no different
    assert min(errors) >= 3.5e-3, errors

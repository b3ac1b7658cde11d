import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from sweeps.models.training.penalties import Penalties, Reduction, hidden_l1, penalised, weight_l1, weight_l2

Matrix = NDArray[np.float64]
MATRICES = st.lists(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.floats(-100, 100)),
    min_size=1,
    max_size=4,
)


def tensors(matrices: list[Matrix]) -> list[torch.Tensor]:
    return [torch.from_numpy(matrix) for matrix in matrices]


@given(MATRICES)
def test_weight_penalties_by_mean_are_means_of_each_matrix_then_over_matrices(matrices: list[Matrix]) -> None:
    weights = tensors(matrices)

    assert weight_l1(weights, "mean").item() == pytest.approx(np.mean([np.mean(np.abs(w)) for w in matrices]))
    assert weight_l2(weights, "mean").item() == pytest.approx(np.mean([np.mean(w**2) for w in matrices]))


@given(MATRICES)
def test_weight_penalties_by_sum_are_sums_over_all_weights(matrices: list[Matrix]) -> None:
    weights = tensors(matrices)

    assert weight_l1(weights, "sum").item() == pytest.approx(sum(np.abs(w).sum() for w in matrices))
    assert weight_l2(weights, "sum").item() == pytest.approx(sum((w**2).sum() for w in matrices))


@given(MATRICES)
def test_hidden_penalty_averages_over_the_batch_by_either_reduction(layers: list[Matrix]) -> None:
    hidden = tensors(layers)

    assert hidden_l1(hidden, "mean").item() == pytest.approx(np.mean([np.mean(np.abs(h)) for h in layers]))
    assert hidden_l1(hidden, "sum").item() == pytest.approx(sum(np.abs(h).mean(axis=0).sum() for h in layers))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_penalised_loss_adds_each_term_by_its_coefficient(reduction: Reduction) -> None:
    weights = [torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0], [0.5]])]
    hidden = [torch.tensor([[-1.0], [4.0]])]
    penalties = Penalties(weight_l1=0.1, weight_l2=0.01, hidden_l1=10, reduction=reduction)

    terms = (
        0.1 * weight_l1(weights, reduction) + 0.01 * weight_l2(weights, reduction) + 10 * hidden_l1(hidden, reduction)
    )

    torch.testing.assert_close(penalised(torch.tensor(7.0), weights, hidden, penalties), 7 + terms)


def test_without_coefficients_the_loss_is_unchanged() -> None:
    loss = torch.tensor(7.0)

    assert penalised(loss, [torch.ones(2, 2)], [torch.ones(2, 2)], Penalties()) is loss

"""Penalties on weights and hidden activations, as theanets defines them; no validation metric includes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from sweeps.models.config import NetworkConfig

Reduction = Literal["mean", "sum"]
# The number of entries of each tensor that are not padding: tensors of shape ().
Counts: TypeAlias = Sequence[Tensor]


@dataclass(frozen=True)
class Penalties:
    """Coefficients of the three terms, and the reduction of each term, on which a coefficient depends."""

    weight_l1: float = 0.0
    weight_l2: float = 0.0
    hidden_l1: float = 0.0
    reduction: Reduction = "mean"


def penalties_of(model: NetworkConfig) -> Penalties:
    """Return the penalties that a config section names."""
    return Penalties(model.weight_l1, model.weight_l2, model.hidden_l1, model.penalty_reduction)


def penalised(loss: Tensor, weights: Sequence[Tensor], hidden: Sequence[Tensor], penalties: Penalties) -> Tensor:
    """Return `loss` plus every term whose coefficient is not 0."""
    if penalties.weight_l1:
        loss = torch.add(loss, weight_l1(weights, penalties.reduction), alpha=penalties.weight_l1)
    if penalties.weight_l2:
        loss = torch.add(loss, weight_l2(weights, penalties.reduction), alpha=penalties.weight_l2)
    if penalties.hidden_l1:
        loss = torch.add(loss, hidden_l1(hidden, penalties.reduction), alpha=penalties.hidden_l1)
    return loss


def weight_l1(weights: Sequence[Tensor], reduction: Reduction, counts: Counts | None = None) -> Tensor:
    """Return the L1 penalty of weight matrices.

    `mean`: mean of |w| over each matrix, then over matrices (theanets 0.7). `sum`: over all entries (older theanets).
    `counts` gives the number of entries of each matrix that are not padding; padding must be 0.
    """
    return _over_matrices([weight.abs() for weight in weights], reduction, counts)


def weight_l2(weights: Sequence[Tensor], reduction: Reduction, counts: Counts | None = None) -> Tensor:
    """Return the penalty of w², reduced as in `weight_l1`."""
    return _over_matrices([weight.square() for weight in weights], reduction, counts)


def hidden_l1(hidden: Sequence[Tensor], reduction: Reduction, counts: Counts | None = None) -> Tensor:
    """Return the L1 penalty of hidden activations, each (batch, units), computed from the corrupted input.

    `mean`: mean of |h| over batch and units, then over layers. `sum`: over units and layers, mean over the batch.
    `counts` gives the number of units of each layer that are not padding; padding must be 0.
    """
    if reduction == "sum":
        return _reduced([h.abs().sum() / len(h) for h in hidden], reduction)
    if counts is None:
        return _reduced([h.abs().mean() for h in hidden], reduction)
    return _reduced([h.abs().sum() / (len(h) * n_units) for h, n_units in zip(hidden, counts, strict=True)], reduction)


def _over_matrices(values: Sequence[Tensor], reduction: Reduction, counts: Counts | None) -> Tensor:
    if reduction == "sum":
        return _reduced([value.sum() for value in values], reduction)
    if counts is None:
        return _reduced([value.mean() for value in values], reduction)
    return _reduced([value.sum() / count for value, count in zip(values, counts, strict=True)], reduction)


def _reduced(terms: Sequence[Tensor], reduction: Reduction) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total / len(terms) if reduction == "mean" and len(terms) > 1 else total

"""A published bug, kept so that it can be trained, recorded and diagnosed next to the correct version."""

from typing import Any

import torch
from torch import Tensor


class _SigmoidOfFirstRowsDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        h = torch.sigmoid(x)
        ctx.save_for_backward(h[:1])
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (first,) = ctx.saved_tensors
        gradient: Tensor = gradients[0] * first * (1 - first)
        return gradient


def sigmoid_first_row(x: Tensor) -> Tensor:
    """Return the sigmoid of `x` (rows, units), with the derivative of row 0 applied to every row: wrong for all others.

    This bug makes the published NumPy autoencoder stop at the column mean; see the recipe numpy-2x2-faulty.
    """
    activations: Tensor = _SigmoidOfFirstRowsDerivative.apply(x)  # type: ignore[no-untyped-call]
    return activations

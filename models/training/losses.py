"""Reconstruction losses."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from sweeps.models.config import NetworkConfig
from sweeps.models.networks.network import Activations
from sweeps.models.networks.standardize import relative


@dataclass(frozen=True)
class ReconstructionLoss:
    """Squared error or cross-entropy; `mean` over samples and features, or `sum` over features, mean over samples."""

    kind: Literal["mse", "bce"] = "mse"
    reduction: Literal["mean", "sum"] = "mean"


def loss_of(model: NetworkConfig) -> ReconstructionLoss:
    """Return the loss that a config section names."""
    return ReconstructionLoss(model.loss, model.loss_reduction)


def reconstruction_loss(activations: Activations, target: Tensor, loss: ReconstructionLoss) -> Tensor:
    """Return the loss of a reconstruction of the clean `target` (batch, features); cross-entropy needs it in [0, 1].

    For a network that standardises, the squared error is in units of each sample's or each feature's standard
    deviation, so that it does not vanish where raw values hardly vary. Missing values (NaN) of `target` do not count:
    `mean` is over the present values, `sum` over the present features of each sample.
    """
    if activations.deviation is None and activations.preprocessing is None:
        reduction = "mean" if loss.reduction == "mean" else "sum"
        if loss.kind == "mse":
            total = functional.mse_loss(activations.reconstruction, target, reduction=reduction)
        else:
            # From the logits: log(sigmoid) stays finite where the sigmoid rounds to 0 or 1.
            total = functional.binary_cross_entropy_with_logits(activations.logits, target, reduction=reduction)
        return total if loss.reduction == "mean" else total / len(target)
    present = activations.present(target)
    total = _values(activations, target, loss, present).sum()
    if loss.reduction == "sum":
        return total / len(target)
    return total / (target.numel() if present is None else present.sum().clamp(min=1))


def squared_error(activations: Activations, target: Tensor) -> tuple[Tensor, Tensor | int]:
    """Return the sum of squared errors over `target` (batch, features), and the number of values that are present.

    Errors are in the units of `Activations.error`.
    """
    if activations.preprocessing is None:
        return functional.mse_loss(activations.reconstruction, target, reduction="sum"), target.numel()
    present = activations.present(target)
    total = activations.error(target).square().sum()
    return total, target.numel() if present is None else present.sum()


def squared_errors(activations: Activations, target: Tensor) -> tuple[Tensor, Tensor | int]:
    """Return each sample's sum of squared errors, (batch,), and the number of values present in `target`."""
    present = activations.present(target)
    total = activations.error(target).square().sum(dim=1)
    return total, target.numel() if present is None else present.sum()


def _values(activations: Activations, target: Tensor, loss: ReconstructionLoss, present: Tensor | None) -> Tensor:
    """Return the loss of each value, (batch, features): 0 where it is missing."""
    if loss.kind == "mse":
        error = activations.error(target)
        return (error if activations.deviation is None else relative(error, activations.deviation)).square()
    known = target if present is None else target.where(present, 0.0)
    values = functional.binary_cross_entropy_with_logits(activations.logits, known, reduction="none")
    return values if present is None else values.where(present, 0.0)

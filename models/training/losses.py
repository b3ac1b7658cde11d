"""Reconstruction losses."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from sweeps.models.config import AutoencoderConfig
from sweeps.models.networks.network import Activations
from sweeps.models.networks.standardize import relative


@dataclass(frozen=True)
class ReconstructionLoss:
    """Squared error or cross-entropy; `mean` over samples and features, or `sum` over features, mean over samples."""

    kind: Literal["mse", "bce"] = "mse"
    reduction: Literal["mean", "sum"] = "mean"


def loss_of(model: AutoencoderConfig) -> ReconstructionLoss:
    """Return the loss that a config section names."""
    return ReconstructionLoss(model.loss, model.loss_reduction)


def reconstruction_loss(activations: Activations, target: Tensor, loss: ReconstructionLoss) -> Tensor:
    """Return the loss of a reconstruction of the clean `target` (batch, features); cross-entropy needs it in [0, 1].

    For a network that standardises, the squared error is in units of each sample's standard deviation, so that it does
    not vanish where raw values hardly vary.
    """
    reduction = "mean" if loss.reduction == "mean" else "sum"
    if activations.deviation is not None:
        error = relative(activations.reconstruction - target, activations.deviation)
        total = error.square().mean() if reduction == "mean" else error.square().sum()
    elif loss.kind == "mse":
        total = functional.mse_loss(activations.reconstruction, target, reduction=reduction)
    else:
        # From the logits: log(sigmoid) stays finite where the sigmoid rounds to 0 or 1.
        total = functional.binary_cross_entropy_with_logits(activations.logits, target, reduction=reduction)
    return total if loss.reduction == "mean" else total / len(target)

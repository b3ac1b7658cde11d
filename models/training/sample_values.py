"""Per-sample values of a metric on a split: what its mean over samples is, for those metrics that are one."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sweeps.models.metrics import linear_answers
from sweeps.models.networks.corruption import corrupt
from sweeps.models.networks.network import Batch, Network
from sweeps.models.networks.seeds import VALIDATION_NOISE, seeded_generator
from sweeps.models.training.losses import squared_errors
from sweeps.models.training.validation import Validation

Values = NDArray[np.float32]

# The metrics that are a mean over samples, apart from a factor and a term that no sample changes.
SAMPLE_MEANS = ("valid/mse", "valid/r2", "valid/denoise_mse", "valid/classification_error")


@torch.no_grad()
def sample_values(
    metric: str, network: Network, validation: Validation, batches: Iterable[Batch], device: torch.device
) -> Values | None:
    """Return the values (samples,) whose mean is `metric` of `network` on the batches; None if it is no such mean.

    `validation` has the noise and the references that the metric is measured with. Where values are missing, a sample
    counts by how many it has, as in the metric.
    """
    if metric not in SAMPLE_MEANS:
        return None
    was_training = isinstance(network, nn.Module) and network.training
    if isinstance(network, nn.Module):
        network.eval()
    try:
        if metric == "valid/classification_error":
            return _wrong_classes(network, batches)
        errors = _squared_errors(network, validation, batches, device, is_noisy=metric == "valid/denoise_mse")
    finally:
        if was_training and isinstance(network, nn.Module):
            network.train()
    if metric != "valid/r2":
        return errors.astype(np.float32)
    if validation.references is None or validation.references.mean_mse == 0:
        return None
    return (1 - errors / validation.references.mean_mse).astype(np.float32)


@torch.no_grad()
def probe_mistakes(network: Network, train: Batch, inputs: Tensor, labels: Tensor) -> Values:
    """Return 1 for each sample that the linear probe classifies wrongly, else 0, (samples,): see `probe`."""
    train_codes, codes = (network.encode(samples).float().cpu().numpy() for samples in (train[0], inputs))
    answers = linear_answers(train_codes, train[1].cpu().numpy(), codes)
    return np.asarray(answers != labels.cpu().numpy(), dtype=np.float32)


def _squared_errors(
    network: Network, validation: Validation, batches: Iterable[Batch], device: torch.device, *, is_noisy: bool
) -> NDArray[np.float64]:
    """Return each sample's share of the squared error: its sum over features × samples ÷ values present."""
    generator = seeded_generator(0, VALIDATION_NOISE, device=device)
    sums, n_present = [], 0
    for batch in batches:
        inputs = clean = batch[0]
        if is_noisy:
            inputs = network.preprocessing.corrupted(clean, lambda x: corrupt(x, validation.noise, generator))
        squared, n_values = squared_errors(network(inputs), clean)
        sums.append(squared.double().cpu().numpy())
        n_present += int(n_values)
    total = np.concatenate(sums)  # (samples,)
    errors: NDArray[np.float64] = total * (len(total) / max(n_present, 1))
    return errors


def _wrong_classes(network: Network, batches: Iterable[Batch]) -> Values | None:
    wrong = []
    for batch in batches:
        logits = network(batch[0]).class_logits
        if logits is None or len(batch) == 1:
            return None
        wrong.append((logits.argmax(dim=1) != batch[1]).float().cpu().numpy())
    return np.concatenate(wrong).astype(np.float32)

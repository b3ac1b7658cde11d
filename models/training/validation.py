"""Measure an autoencoder on a split, batch by batch, on clean inputs and without penalties."""

import torch
from torch import Tensor

from sweeps.models.metrics import References, code_sparsity, dead_units, mse_over_pca, probe_error, r2
from sweeps.models.networks.corruption import Noise, corrupt
from sweeps.models.networks.network import Batch, Network
from sweeps.models.networks.seeds import VALIDATION_NOISE, seeded_generator
from sweeps.models.training.losses import squared_error


class Validation:
    """The metrics of one pass over a split, by name without a `valid/` or `test/` prefix.

    `denoise_mse` is measured at `noise`, with the same draws in every pass and every training. `references` must be
    those of the split, in the units of the network's errors (`Activations.error`); without them `r2` and `mse_over_pca`
    are left out. A network that classifies gives `classification_error` if the batches have labels.
    """

    def __init__(self, network: Network, noise: Noise, references: References | None = None) -> None:
        self.network = network
        self.noise = noise
        self.references = references
        self.start("cpu")

    def start(self, device: torch.device | str) -> None:
        """Start a pass over batches on `device`."""
        self._generator = seeded_generator(0, VALIDATION_NOISE, device=device)
        self._n_samples = 0
        self._n_values: Tensor | int = 0
        self._squared = torch.zeros((), device=device)
        self._denoised_squared = torch.zeros((), device=device)
        self._wrong: Tensor | None = None
        self._sparsity = 0.0
        self._code_range: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def update(self, batch: Batch) -> None:
        """Add a batch: (inputs (batch, features), labels (batch,)), or inputs alone."""
        clean = batch[0]
        activations = self.network(clean)
        self._n_samples += len(clean)
        squared, n_values = squared_error(activations, clean)
        self._squared += squared
        self._n_values += n_values
        if self.noise.level > 0:
            noisy = self.network.preprocessing.corrupted(clean, lambda x: corrupt(x, self.noise, self._generator))
            self._denoised_squared += squared_error(self.network(noisy), clean)[0]
        if len(batch) > 1 and activations.class_logits is not None:
            wrong = (activations.class_logits.argmax(dim=1) != batch[1]).sum()
            self._wrong = wrong if self._wrong is None else self._wrong + wrong
        self._add_code(activations.code)

    def metrics(self) -> dict[str, float]:
        """Return the metrics of all batches since `start`. Raises ValueError if there were none."""
        if self._code_range is None:
            raise ValueError("metrics need at least one batch, and there was none: call update first")
        n_values = max(int(self._n_values), 1)
        mse = self._squared.item() / n_values
        metrics = {"mse": mse}
        if self.references is not None:
            metrics["r2"] = r2(mse, self.references)
            over_pca = mse_over_pca(mse, self.network.code_size, self.references)
            if over_pca is not None:
                metrics["mse_over_pca"] = over_pca
        if self.noise.level > 0:
            metrics["denoise_mse"] = self._denoised_squared.item() / n_values
        if self._wrong is not None:
            metrics["classification_error"] = self._wrong.item() / self._n_samples
        metrics["code_sparsity"] = self._sparsity / self._n_samples
        metrics["dead_units"] = dead_units(torch.stack(self._code_range).cpu().numpy())
        return metrics

    def _add_code(self, code: Tensor) -> None:
        self._sparsity += code_sparsity(code.cpu().numpy()) * len(code)
        low, high = code.amin(dim=0), code.amax(dim=0)  # (units,)
        if self._code_range is not None:
            low, high = torch.minimum(low, self._code_range[0]), torch.maximum(high, self._code_range[1])
        self._code_range = low, high


@torch.no_grad()
def probe(network: Network, train: Batch, inputs: Tensor, labels: Tensor) -> float:
    """Return the error of a linear classifier, fitted on the codes of `train`, on the codes of `inputs`.

    Inputs are (samples, features), `labels` (samples,).
    """
    train_codes, codes = (network.encode(samples).float().cpu().numpy() for samples in (train[0], inputs))
    return probe_error(train_codes, train[1].cpu().numpy(), codes, labels.cpu().numpy())

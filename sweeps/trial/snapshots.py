"""The arrays that figures are drawn from: a trial saves them before it reports, and the driver draws them."""

import io
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.figures.arrays import as_array, encoder_product
from sweeps.models.figures.table import N_FILTERS, figures_from
from sweeps.models.networks.network import Network
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder
from sweeps.storage.object_store import Place
from sweeps.trial.events import FigureSaved

N_RECONSTRUCTIONS = 10
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Snapshots:
    """Save arrays of a point's network, without pickles; for a stack, also to compare with the end of pretraining."""

    folder: PointFolder
    data: ArrayDataModule
    n_pretraining_epochs: int = 0

    @torch.no_grad()
    def save(self, epoch: int, network: Network, device: torch.device = _CPU) -> tuple[FigureSaved, ...]:
        """Save an epoch: the first filters, and reconstructions of a few validation samples. `()` on a full disk."""
        path = self.folder.snapshot(epoch)
        arrays = self._looks(network, device)
        if epoch == self.n_pretraining_epochs > 0:
            arrays |= encoder_product(network, partial(self._sample, device))
        if not _write(path, arrays):
            return ()
        source = self.folder.in_sweep(path)
        return tuple(
            FigureSaved(name=figure.file(epoch), kind=figure.kind, source=source, epoch=epoch)
            for figure in figures_from("snapshot")
            if figure.needs <= arrays.keys()
        )

    @torch.no_grad()
    def save_best(self, epoch: int, network: Network, device: torch.device = _CPU) -> bool:
        """Save the best epoch's arrays for detailed figures, replacing earlier ones; return False on a full disk."""
        arrays = self._looks(network, device)
        arrays |= {"epoch": np.asarray(epoch), "code_size": np.asarray(network.code_size)}
        if self.n_pretraining_epochs:
            arrays["n_pretraining_epochs"] = np.asarray(self.n_pretraining_epochs)
        for figure in figures_from("best epoch"):
            if figure.measures:
                arrays |= figure.arrays(network, partial(self._sample, device))
        return _write(self.folder.best_arrays, arrays)

    def _sample(self, device: torch.device, n_samples: int) -> torch.Tensor:
        return self.data.valid_sample(n_samples, device)[0]

    def _looks(self, network: Network, device: torch.device) -> dict[str, NDArray[Any]]:
        image_shape, originals = self.data.arrays.image_shape, self._sample(device, N_RECONSTRUCTIONS)
        activations = network(originals)
        reconstructions = activations.reconstruction
        if image_shape is None:  # in the units of errors: a raw feature far larger than the others would hide them
            originals, reconstructions = activations.compared(originals)
        arrays: dict[str, NDArray[Any]] = {
            "originals": as_array(originals),
            "reconstructions": as_array(reconstructions),
        }
        filters = network.first_layer_filters()
        if filters is not None:
            arrays["filters"] = as_array(filters[:N_FILTERS])
        if image_shape is not None:
            arrays["image_shape"] = np.asarray(image_shape)
        return arrays


def _write(path: Place, arrays: dict[str, NDArray[Any]]) -> bool:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return atomic_write.write(path, content.getvalue())

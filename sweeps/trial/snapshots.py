"""The arrays that figures are drawn from: a trial saves them before it reports, and the driver draws them."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.networks.linear import LinearNetwork
from sweeps.models.networks.network import Network, encoder_product
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder
from sweeps.storage.object_store import Place
from sweeps.trial.events import N_CODES, Figure

N_FILTERS = 100  # as many as are drawn; a thousand would take 3 MB a snapshot
N_RECONSTRUCTIONS = 10
# A larger weight matrix has more entries than a figure has pixels.
_MAX_MATRIX = 1000
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Snapshots:
    """Save arrays of a point's network, without pickles. For a stack, the end of pretraining is one to compare with."""

    folder: PointFolder
    data: ArrayDataModule
    n_pretraining_epochs: int = 0

    @torch.no_grad()
    def save(self, epoch: int, network: Network, device: torch.device) -> tuple[Figure, ...]:
        """Save an epoch: the first filters, and reconstructions of a few validation samples. Nothing on a full disk."""
        path = self.folder.snapshot(epoch)
        arrays = self._looks(network, device)
        if epoch == self.n_pretraining_epochs > 0:
            arrays |= _product(network)
        if not _write(path, arrays):
            return ()
        source = self.folder.in_sweep(path)
        return (
            Figure(name=f"filters/epoch-{epoch:05d}.png", kind="filters", source=source),
            Figure(name=f"reconstructions/epoch-{epoch:05d}.png", kind="reconstructions", source=source),
        )

    @torch.no_grad()
    def save_best(self, epoch: int, network: Network, device: torch.device = _CPU) -> bool:
        """Save what detailed figures show of the best epoch so far, replacing the last one; False on a full disk."""
        arrays = self._looks(network, device) | _product(network)
        arrays |= {"epoch": np.asarray(epoch), "code_size": np.asarray(network.code_size)}
        if self.n_pretraining_epochs:
            arrays["n_pretraining_epochs"] = np.asarray(self.n_pretraining_epochs)
        if network.code_size == 2 < network.input_size:
            arrays["codes"] = _array(network.encode(self.data.valid_sample(N_CODES, device)[0]))
        if isinstance(network, LinearNetwork) and network.input_size <= _MAX_MATRIX:
            arrays["weights"] = _array(network.first_layer_filters())
        return _write(self.folder.best_arrays, arrays)

    def _looks(self, network: Network, device: torch.device) -> dict[str, NDArray[Any]]:
        originals = self.data.valid_sample(N_RECONSTRUCTIONS, device)[0]
        arrays: dict[str, NDArray[Any]] = {
            "filters": _array(network.first_layer_filters()[:N_FILTERS]),
            "originals": _array(originals),
            "reconstructions": _array(network(originals).reconstruction),
        }
        if self.data.arrays.image_shape is not None:
            arrays["image_shape"] = np.asarray(self.data.arrays.image_shape)
        return arrays


def _product(network: Network) -> dict[str, NDArray[Any]]:
    """Return the product of the encoder's matrices where there are several."""
    return {"product": _array(encoder_product(network, N_FILTERS))} if len(network.encoder_weights()) > 1 else {}


def _write(path: Place, arrays: dict[str, NDArray[Any]]) -> bool:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return atomic_write.write(path, content.getvalue())


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().to("cpu", torch.float32).numpy()

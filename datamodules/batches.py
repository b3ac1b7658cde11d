"""Batches taken from a tensor by index, and the Lightning data module that serves them."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor

from sweeps.datamodules.arrays import DataArrays, Split

TensorBatch: TypeAlias = tuple[Tensor] | tuple[Tensor, Tensor]

# For batches that are only measured: large enough to make call overhead negligible, small enough for any device.
_IN_ORDER_BATCH_SIZE = 4096
# On a CPU, fewer samples if they are large: 1 MB of values stays in the cache, which is a third faster.
_IN_ORDER_VALUES_ON_CPU = 2**18


class TensorBatches:
    """Batches of `inputs` (samples, features), scaled and in floating point, with `labels` (samples,) if there are any.

    Each iteration is one epoch of `passes` over the samples. The order in epoch e depends only on (`seed`, e), so that
    a resumed training sees the same batches; without a seed it is the order of the tensor. The last batch of a pass may
    be smaller. Inputs of bytes are converted batch by batch; a batch is float32, or float64 if `inputs` are.
    """

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor | None = None,
        *,
        batch_size: int,
        scale: float = 1.0,
        seed: int | None,
        first_epoch: int = 0,
        passes: int = 1,
    ) -> None:
        self.inputs = inputs
        self.labels = labels
        self.batch_size = batch_size
        self.scale = scale
        self.seed = seed
        self.passes = passes
        self._epoch = first_epoch

    def __len__(self) -> int:
        return self.passes * -(-len(self.inputs) // self.batch_size)

    def __iter__(self) -> Iterator[TensorBatch]:
        # As a generator, so that an iterator that is never advanced does not count as an epoch.
        epoch, self._epoch = self._epoch, self._epoch + 1
        for number in range(epoch * self.passes, (epoch + 1) * self.passes):
            yield from self._pass(number)

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration epoch `epoch`."""
        self._epoch = epoch

    @property
    def sampler(self) -> "TensorBatches":
        """This object: Lightning calls `sampler.set_epoch` before each epoch, also of a resumed training."""
        return self

    @property
    def batch_sampler(self) -> None:
        """None: Lightning reads it wherever there is a `sampler`."""
        return None

    def _pass(self, number: int) -> Iterator[TensorBatch]:
        if self.seed is None:
            for start in range(0, len(self.inputs), self.batch_size):
                yield self._batch(slice(start, start + self.batch_size))
        else:
            order = epoch_order(len(self.inputs), self.seed, number).to(self.inputs.device)
            for start in range(0, len(order), self.batch_size):
                yield self._batch(order[start : start + self.batch_size])

    def _batch(self, rows: slice | Tensor) -> TensorBatch:
        inputs = _to_floating(_rows(self.inputs, rows), self.scale)  # (batch, features)
        return (inputs,) if self.labels is None else (inputs, _rows(self.labels, rows))


class ArrayDataModule(LightningDataModule):
    """Serves `arrays` to a trainer in batches of `batch_size`, shuffled by `seed`, on the device that trains.

    A training epoch makes `passes` passes over the training split.
    """

    def __init__(self, arrays: DataArrays, *, batch_size: int, seed: int, passes: int = 1) -> None:
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size
        self.passes = passes
        self.seed = seed
        self._tensors: dict[tuple[int, torch.device], tuple[Tensor, Tensor | None]] = {}

    def train_dataloader(self) -> TensorBatches:
        """Return batches of the training split, in another order each epoch."""
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        return self._batches(self.arrays.train, self.batch_size, self.seed, epoch, self.passes)

    def val_dataloader(self) -> TensorBatches:
        """Return batches of the split that `valid/...` metrics are measured on, in order."""
        return self._batches(self.arrays.valid)

    def valid_batches(self, device: torch.device | str = "cpu") -> TensorBatches:
        """Return the batches of `val_dataloader` on a device, also without a trainer."""
        inputs, labels = self._on_device(self.arrays.valid, device)
        size = _in_order_batch_size(inputs.shape[1], torch.device(device))
        return TensorBatches(inputs, labels, batch_size=size, scale=self.arrays.scale, seed=None)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return a batch that is on the device as it is: Lightning's traversal of it would take time."""
        if batch[0].device == device:
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def valid_inputs(self, device: torch.device | str = "cpu") -> Tensor:
        """Return all inputs that `valid/...` metrics are measured on: (samples, features), scaled, float32."""
        return _to_floating(self._on_device(self.arrays.valid, device)[0], self.arrays.scale)

    def train_sample(self, n_samples: int, device: torch.device | str = "cpu") -> TensorBatch:
        """Return at most `n_samples` training samples, evenly spread, as one batch."""
        return self._sample(self.arrays.train, n_samples, device)

    def valid_sample(self, n_samples: int, device: torch.device | str = "cpu") -> TensorBatch:
        """Return at most `n_samples`, evenly spread, of the split that `valid/...` metrics are measured on."""
        return self._sample(self.arrays.valid, n_samples, device)

    def valid_labels(self, device: torch.device | str = "cpu") -> Tensor | None:
        """Return all labels, (samples,), int64, of the split that `valid/...` metrics are measured on, or None."""
        return self._on_device(self.arrays.valid, device)[1]

    def mapped(
        self, encode: Callable[[Tensor], Tensor], batch_size: int, device: torch.device | str = "cpu"
    ) -> TensorBatches:
        """Return batches of `encode(inputs)` with the training labels, in the same order as the training batches.

        For layer-wise pretraining on the codes of the layers below: (samples, code), computed once and kept on
        `device`.
        """
        inputs, labels = self._on_device(self.arrays.train, device)
        in_order = TensorBatches(inputs, batch_size=_IN_ORDER_BATCH_SIZE, scale=self.arrays.scale, seed=None)
        with torch.no_grad():
            codes = torch.cat([encode(batch[0]).to(torch.float32) for batch in in_order])
        return TensorBatches(codes, labels, batch_size=batch_size, seed=self.seed)

    def _batches(
        self,
        split: Split,
        batch_size: int | None = None,
        seed: int | None = None,
        first_epoch: int = 0,
        passes: int = 1,
    ) -> TensorBatches:
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        inputs, labels = self._on_device(split, device)
        return TensorBatches(
            inputs,
            labels,
            batch_size=batch_size or _in_order_batch_size(inputs.shape[1], device),
            scale=self.arrays.scale,
            seed=seed,
            first_epoch=first_epoch,
            passes=passes,
        )

    def _sample(self, split: Split, n_samples: int, device: torch.device | str) -> TensorBatch:
        inputs, labels = self._on_device(split, device)
        rows = split.spread(n_samples)
        chosen = _to_floating(inputs[rows], self.arrays.scale)
        return (chosen,) if labels is None else (chosen, labels[rows])

    def _on_device(self, split: Split, device: torch.device | str) -> tuple[Tensor, Tensor | None]:
        """Return inputs and labels of a split on a device, moved once; train and valid may be the same split."""
        key = id(split), torch.device(device)
        if key not in self._tensors:
            labels = None if split.labels is None else as_tensor(split.labels).to(device)
            self._tensors[key] = as_tensor(split.inputs).to(device), labels
        return self._tensors[key]


def _in_order_batch_size(n_features: int, device: torch.device) -> int:
    if device.type != "cpu":
        return _IN_ORDER_BATCH_SIZE
    return min(max(1, _IN_ORDER_VALUES_ON_CPU // n_features), _IN_ORDER_BATCH_SIZE)


def epoch_order(n_samples: int, seed: int, epoch: int) -> Tensor:
    """Return a permutation of `n_samples` that depends only on (`seed`, `epoch`), not on the global generator."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return torch.randperm(n_samples, generator=torch.Generator().manual_seed(int(state[0]) >> 1))


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor that shares the array's memory. Do not write to it: in Ray's object store it is read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _rows(tensor: Tensor, rows: slice | Tensor) -> Tensor:
    return tensor[rows] if isinstance(rows, slice) else tensor.index_select(0, rows)  # 5 times as fast as tensor[rows]


def _to_floating(inputs: Tensor, scale: float) -> Tensor:
    """Return a new tensor, never a view: the memory of `inputs` may be read-only."""
    dtype = torch.float64 if inputs.dtype == torch.float64 else torch.float32
    floating = inputs.to(dtype, copy=True)
    return floating if scale == 1 else floating.mul_(scale)

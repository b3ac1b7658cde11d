"""Batches for networks that train together, each on its own inputs, in the same order of samples."""

from collections.abc import Iterator, Sequence

from pytorch_lightning import LightningDataModule

from sweeps.datamodules.batches import TensorBatch, TensorBatches


class ParallelBatches:
    """Lists of batches, one from each of several `TensorBatches`, all of the same samples in the same order."""

    def __init__(self, batches: Sequence[TensorBatches]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches[0])

    def __iter__(self) -> Iterator[list[TensorBatch]]:
        return map(list, zip(*self._batches, strict=True))

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration epoch `epoch`."""
        for batches in self._batches:
            batches.set_epoch(epoch)

    @property
    def sampler(self) -> "ParallelBatches":
        """This object, as in `TensorBatches`."""
        return self

    @property
    def batch_sampler(self) -> None:
        """None, as in `TensorBatches`."""
        return None


class SideBySide(LightningDataModule):
    """Serves lists of batches of training samples, for phases that only train."""

    def __init__(self, batches: Sequence[TensorBatches]) -> None:
        super().__init__()
        self._batches = batches

    def train_dataloader(self) -> ParallelBatches:
        """Return lists of batches, in an order that their seed decides."""
        return ParallelBatches(self._batches)

    def val_dataloader(self) -> TensorBatches:
        """Return batches that Lightning requires, but that a pretraining phase never uses."""
        return self._batches[0]

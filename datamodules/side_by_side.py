"""Batches for networks that train on inputs of their own, in one order: those of all of them at once."""

from collections.abc import Iterator, Sequence

from pytorch_lightning import LightningDataModule

from sweeps.datamodules.batches import Batch, TensorBatches


class ParallelBatches:
    """Lists of batches, one of each of several `TensorBatches` that have the same samples in the same order."""

    def __init__(self, batches: Sequence[TensorBatches]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches[0])

    def __iter__(self) -> Iterator[list[Batch]]:
        return map(list, zip(*self._batches, strict=True))

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be epoch `epoch`."""
        for batches in self._batches:
            batches.set_epoch(epoch)

    @property
    def sampler(self) -> "ParallelBatches":
        """Where Lightning looks for `set_epoch`, as in `TensorBatches`."""
        return self

    @property
    def batch_sampler(self) -> None:
        """Nothing, as in `TensorBatches`."""
        return None


class SideBySide(LightningDataModule):
    """Serves several batches of training samples, a list at a time. For training alone: nothing is validated."""

    def __init__(self, batches: Sequence[TensorBatches]) -> None:
        super().__init__()
        self._batches = batches

    def train_dataloader(self) -> ParallelBatches:
        """One epoch at a time, in an order that their seed decides."""
        return ParallelBatches(self._batches)

    def val_dataloader(self) -> TensorBatches:
        """Lightning wants one; a phase of pre-training never takes it."""
        return self._batches[0]

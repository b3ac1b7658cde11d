"""How long the parts of a training take: a few steps of each epoch, and all that comes between them."""

import sweeps.trial.lightning_import  # noqa: F401, I001  # before Lightning
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytorch_lightning as lightning
import torch

# Enough that one slow step does not decide, however long a step takes.
MIN_STEPS = 4


@dataclass
class EpochTimes:
    """The steps trained of an epoch, their seconds, and those of the rest: validation, probe, saving."""

    n_steps: int
    step_seconds: float = 0.0
    other_seconds: float = 0.0


@dataclass
class PhaseTimes:
    """One fit of some points: the steps of a whole epoch, the seconds before its first epoch, and its epochs."""

    index: int
    n_points: int
    n_steps: int = 0
    setup_seconds: float = 0.0
    epochs: list[EpochTimes] = field(default_factory=list)


class PhaseTimer(lightning.Callback):
    """Limits the epochs of phase i to `n_steps[i]` steps, by default to four, and times each fit."""

    def __init__(self, n_steps: Mapping[int, int] | None = None) -> None:
        self.phases: list[PhaseTimes] = []
        self._n_steps = n_steps or {}
        self._clock = time.monotonic()

    def begin(self, index: int, n_points: int) -> None:
        """Begin the fit of a phase; what came since the last epoch belongs to the phase before."""
        self.end()
        self.phases.append(PhaseTimes(index, n_points))

    def limited(self, data: lightning.LightningDataModule) -> lightning.LightningDataModule:
        """Return a data module with the first steps of each epoch only."""
        phase = self.phases[-1]
        return _FirstBatches(data, phase, self._n_steps.get(phase.index, MIN_STEPS))

    def end(self) -> None:
        """End the last fit."""
        seconds = self._lap()
        if self.phases and self.phases[-1].epochs:
            self.phases[-1].epochs[-1].other_seconds += seconds

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """End the epoch before, or the preparation of the fit."""
        phase, seconds = self.phases[-1], self._lap()
        if phase.epochs:
            phase.epochs[-1].other_seconds += seconds
        else:
            phase.setup_seconds = seconds
        phase.epochs.append(EpochTimes(int(trainer.num_training_batches)))

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin the steps: to Lightning, an epoch is one batch."""
        self.phases[-1].epochs[-1].other_seconds += self._lap()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the steps."""
        self.phases[-1].epochs[-1].step_seconds = self._lap()

    def _lap(self) -> float:
        before, self._clock = self._clock, time.monotonic()
        return self._clock - before


class _FirstBatches(lightning.LightningDataModule):
    """Serves what another data module does, and only the first steps of an epoch."""

    def __init__(self, data: lightning.LightningDataModule, phase: PhaseTimes, n_steps: int) -> None:
        super().__init__()
        self._data, self._phase, self._n_steps = data, phase, n_steps

    def train_dataloader(self) -> "_Limited":
        self._data.trainer = self.trainer
        batches = self._data.train_dataloader()
        self._phase.n_steps = len(batches)
        return _Limited(batches, self._n_steps)

    def val_dataloader(self) -> Any:
        self._data.trainer = self.trainer
        return self._data.val_dataloader()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return self._data.transfer_batch_to_device(batch, device, dataloader_idx)


class _Limited:
    """The first batches of each epoch."""

    def __init__(self, batches: Any, n_steps: int) -> None:
        self._batches, self._n_steps = batches, min(n_steps, len(batches))

    def __len__(self) -> int:
        return self._n_steps

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self._batches), self._n_steps)

    def set_epoch(self, epoch: int) -> None:
        self._batches.set_epoch(epoch)

    @property
    def sampler(self) -> "_Limited":
        return self

    @property
    def batch_sampler(self) -> None:
        return None

"""The Lightning module that trains one network, or several on the same batches."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.network import Batch
from sweeps.models.networks.seeds import TRAINING_NOISE, seeded_generator
from sweeps.models.training.learners import Learner, alike, halves, learner_of, together
from sweeps.models.training.member import Member, Trainee
from sweeps.models.training.validation import Validation

# Lightning calls a training_step that iterates over its batches experimental; constraints.txt pins the tested version.
warnings.filterwarnings("ignore", message="(Found|You are using the) `dataloader_iter`")


class Autoencoder(LightningModule):
    """Trains each member on the same batches with the same random draws; no member affects another.

    Each member gets `train/loss`, the penalised loss averaged over the samples of an epoch, and after each validation
    the `valid/...` metrics of its `validation`. A batch is (inputs,) or (inputs, labels), or a list with one such batch
    per member.

    Noise depends only on (`seed`, `phase`, epoch): a member trains as it would by itself, and a training resumed after
    an epoch gives the same result as one that was never interrupted.

    A member that diverges or raises keeps the exception as its `error` and stops; the fit ends when all have stopped.
    With `stacks`, members of one architecture train as one stacked network. If memory runs out, the stack is split in
    halves; any other error of a stack stops all its members.

    To Lightning an epoch is one batch: batch hooks of callbacks run once per epoch, and max_steps is not checked in it.
    """

    def __init__(self, members: Sequence[Member], *, seed: int = 0, phase: int = 0, stacks: bool = False) -> None:
        super().__init__()
        # An epoch is one Lightning step: Lightning's hooks around a step take as long as the step of a small network.
        self.automatic_optimization = False
        self.members: Sequence[Member] = nn.ModuleList(members)  # type: ignore[assignment]  # holds members only
        self.seed = seed
        self.phase = phase
        self.stacks = stacks
        self._learners: list[Learner] = []

    @property
    def in_training(self) -> list[Member]:
        """The members that have not stopped."""
        return [member for member in self.members if member.is_in_training]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one optimizer per member, in the order of members."""
        return [member.torch_optimizer() for member in self.members]

    def training_step(self, dataloader_iter: Iterator[tuple[Batch | Sequence[Batch], int, int]]) -> None:
        """Run all steps of an epoch; nothing is read back from the device before the last."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        self._start_epoch()
        draws = SharedDraws(self._generator)
        loss_sums = torch.zeros(len(self.members), device=self.device, dtype=torch.float64)
        n_samples = 0
        for batch, _, _ in dataloader_iter:
            batches = self._batch_per_member(batch)
            draws.next_batch()
            self._step(batches, draws, loss_sums)
            # As Lightning's optimizer wrapper does, without its hooks: global_step counts these.
            progress.increment_ready()
            progress.increment_completed()
            n_samples += len(batches[0][0])
        for learner in self._learners:
            learner.finish()
        for member, loss_sum in zip(self.members, loss_sums.tolist(), strict=True):
            self._take(member, {"train/loss": loss_sum / n_samples})
        if self._validated() and self.current_epoch + 1 == self.trainer.max_epochs:
            self.trainer.check_val_every_n_epoch = 1  # always validate the last epoch

    def on_validation_epoch_start(self) -> None:
        """Reset the sums of each validation."""
        for _, validation in self._validated():
            validation.start(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # Lightning passes both
        """Add a batch to the sums of each validation."""
        for member, validation in self._validated():
            with member.alone():
                validation.update(batch)

    def on_validation_epoch_end(self) -> None:
        """Take the metrics of the whole split."""
        for member, validation in self._validated():
            with member.alone():
                self._take(member, {f"valid/{name}": value for name, value in validation.metrics().items()})

    def on_train_epoch_end(self) -> None:
        """End the fit when all members have stopped."""
        self.trainer.should_stop = not self.in_training

    def _start_epoch(self) -> None:
        """Prepare learners for the members in training, at the learning rates of this epoch."""
        trainees = [
            Trainee(index, member, self.trainer.optimizers[index])
            for index, member in enumerate(self.members)
            if member.is_in_training
        ]
        learning = {trainee.index for learner in self._learners for trainee in learner.trainees}
        if learning == {trainee.index for trainee in trainees}:
            for learner in self._learners:
                self._prepare(learner)
        else:
            self._learners = []  # first, to free their memory
            self._learners = [
                learner for group in alike(trainees, stacks=self.stacks) for learner in self._learners_of(group)
            ]

    def _learners_of(self, trainees: Sequence[Trainee]) -> list[Learner]:
        """Return one learner for members that can share it, or several if memory does not allow one."""
        learner = self._try_learner(trainees)
        # Outside the exception handler, so that what the traceback held is free.
        return self._in_halves(trainees) if learner is None else [learner]

    def _in_halves(self, trainees: Sequence[Trainee]) -> list[Learner]:
        return [learner for half in halves(trainees) for learner in self._learners_of(half)]

    def _try_learner(self, trainees: Sequence[Trainee]) -> Learner | None:
        """Return a learner, prepared for this epoch; None if that raised."""
        with together(trainees):
            learner = learner_of(trainees)
            self._prepare(learner)
            return learner
        return None

    def _prepare(self, learner: Learner) -> None:
        n_epochs = self.trainer.max_epochs
        assert n_epochs is not None
        learner.start_epoch(self.current_epoch, n_epochs, self._generator())

    def _step(self, batches: Sequence[Batch], draws: SharedDraws, loss_sums: Tensor) -> None:
        """Take one step of each member; split a stack in halves if memory does not allow its step."""
        waiting, self._learners = deque(self._learners), []
        while waiting:
            learner = waiting.popleft()
            losses = self._try_step(learner, batches, draws)
            if losses is not None:
                loss_sums.index_add_(0, learner.places, losses.double(), alpha=len(batches[0][0]))
                self._learners.append(learner)
                continue
            learner.finish()
            trainees = learner.trainees
            del learner  # the last reference: frees its memory for the halves
            waiting.extendleft(self._in_halves(trainees))

    def _try_step(self, learner: Learner, batches: Sequence[Batch], draws: SharedDraws) -> Tensor | None:
        """Return the losses of a step, (trainees,); None if it raised."""
        with together(learner.trainees):
            return learner.step(batches, draws)
        return None

    def _take(self, member: Member, metrics: dict[str, float]) -> None:
        if member.is_in_training:
            with member.alone():
                member.take(metrics, self.current_epoch)

    def _validated(self) -> list[tuple[Member, Validation]]:
        return [(member, member.validation) for member in self.in_training if member.validation is not None]

    def _generator(self) -> torch.Generator:
        return seeded_generator(self.seed, TRAINING_NOISE, self.phase, self.current_epoch, device=self.device)

    def _batch_per_member(self, batch: Batch | Sequence[Batch]) -> Sequence[Batch]:
        """Return the batch of each member, which may be the same one for all."""
        if isinstance(batch[0], Tensor):
            return [self._on_device(cast(Batch, batch))] * len(self.members)
        return [self._on_device(own) for own in cast(Sequence[Batch], batch)]

    def _on_device(self, batch: Batch) -> Batch:
        return batch if batch[0].device == self.device else [part.to(self.device) for part in batch]

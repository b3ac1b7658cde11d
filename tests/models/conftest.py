"""Batches and trainers for the models, without a data module."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import pytorch_lightning as lightning
import torch
from torch import Tensor

from sweeps.models.training.autoencoder import Autoencoder
from sweeps.models.training.member import Member


class Batches:
    """Batches of tensors in an order that depends on the epoch number."""

    def __init__(self, *tensors: Tensor, size: int = 32, shuffle: bool = True) -> None:
        self.tensors = tensors
        self.size = size
        self.shuffle = shuffle
        self.epoch = 0
        self.sampler = self  # where Lightning looks for set_epoch
        self.batch_sampler = None

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.size)

    def __iter__(self) -> Iterator[Sequence[Tensor]]:
        n_samples = len(self.tensors[0])
        order = torch.arange(n_samples)
        if self.shuffle:
            order = torch.randperm(n_samples, generator=torch.Generator().manual_seed(self.epoch))
        for rows in order.split(self.size):
            yield tuple(tensor[rows] for tensor in self.tensors)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Use one thread: small networks train faster, and much faster when other tests use the other cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Fit = Callable[..., lightning.Trainer]


@pytest.fixture
def batches() -> type[Batches]:
    return Batches


@pytest.fixture
def fit() -> Fit:
    """Run one minimal Lightning fit of one or several members, as a sweep does; raise the error of a single member."""

    def run(
        trained: Member | Sequence[Member],
        train: Any,
        valid: Any = None,
        *,
        epochs: int = 1,
        validate_every: int = 1,
        checkpoint: Any = None,
        callbacks: Sequence[lightning.Callback] = (),
        stacks: bool = False,
    ) -> lightning.Trainer:
        members = [trained] if isinstance(trained, Member) else trained
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            check_val_every_n_epoch=validate_every,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            barebones=False,
            callbacks=list(callbacks),
        )
        with warnings.catch_warnings():
            # pytest undoes the warning filter of models.autoencoder; and a test may run without a validation split.
            warnings.filterwarnings("ignore", message="(Found|You are using the) `dataloader_iter`")
            warnings.filterwarnings("ignore", message="You defined a `validation_step` but have no `val_dataloader`")
            module = Autoencoder(members, stacks=stacks)
            trainer.fit(module, train, valid, ckpt_path=checkpoint, weights_only=True)
        if isinstance(trained, Member) and trained.error is not None:
            raise trained.error
        return trainer

    return run

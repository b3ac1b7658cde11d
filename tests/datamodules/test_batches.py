from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from sweeps.datamodules.arrays import DataArrays, Split
from sweeps.datamodules.batches import ArrayDataModule, TensorBatches, epoch_order

N_TRAIN, N_VALID = 23, 6


def numbered(n_samples: int) -> tuple[Tensor, Tensor]:
    numbers = torch.arange(n_samples)
    return torch.stack([numbers, 2 * numbers], dim=1).to(torch.float32), numbers


def epoch_of(batches: TensorBatches) -> list[int]:
    return [int(label) for batch in batches for label in batch[-1]]


def small_arrays(**changes: Any) -> DataArrays:
    def samples(start: int, n_samples: int) -> Split:
        numbers = np.arange(start, start + n_samples, dtype=np.uint8)
        return Split(np.stack([numbers, numbers + 1, numbers + 2], axis=1), numbers.astype(np.int64))

    values: dict[str, Any] = {
        "name": "numbered",
        "train": samples(0, N_TRAIN),
        "valid": samples(N_TRAIN, N_VALID),
        "test": samples(N_TRAIN + N_VALID, 4),
        "scale": 0.5,
        "image_shape": None,
        "n_classes": 64,
        "checksum": "",
        "validate_on": "valid",
        "seed": 0,
    }
    return DataArrays(**(values | changes))


@given(n_samples=st.integers(1, 100), batch_size=st.integers(1, 120), seed=st.none() | st.integers(0, 2**63))
def test_an_epoch_gives_each_sample_once_in_batches_of_the_size(
    n_samples: int, batch_size: int, seed: int | None
) -> None:
    batches = TensorBatches(*numbered(n_samples), batch_size=batch_size, seed=seed)
    sizes = [len(batch[0]) for batch in batches]
    assert len(sizes) == len(batches)
    assert all(size == batch_size for size in sizes[:-1])
    assert sorted(epoch_of(batches)) == list(range(n_samples))


@given(seed=st.integers(0, 2**63), epoch=st.integers(0, 1000))
def test_the_order_depends_only_on_seed_and_epoch(seed: int, epoch: int) -> None:
    torch.manual_seed(epoch)
    inputs, labels = numbered(50)
    started_here = TensorBatches(inputs, labels, batch_size=7, seed=seed, first_epoch=epoch)
    set_explicitly = TensorBatches(inputs, labels, batch_size=11, seed=seed)
    set_explicitly.set_epoch(epoch)
    assert epoch_of(started_here) == epoch_of(set_explicitly)


@given(seed=st.integers(0, 2**63), n_before=st.integers(0, 5))
def test_resumed_epochs_match_those_of_an_uninterrupted_run(seed: int, n_before: int) -> None:
    whole = TensorBatches(*numbered(30), batch_size=8, seed=seed)
    resumed = TensorBatches(*numbered(30), batch_size=8, seed=seed, first_epoch=n_before)
    assert [epoch_of(whole) for _ in range(n_before + 3)][n_before:] == [epoch_of(resumed) for _ in range(3)]


@given(seed=st.integers(0, 2**63))
def test_each_epoch_and_each_seed_has_its_own_order(seed: int) -> None:
    orders = {tuple(epoch_order(50, *pair).tolist()) for pair in ((seed, 0), (seed, 1), (seed + 1, 0), (seed + 1, 1))}
    assert len(orders) == 4


def test_orders_are_uniformly_distributed() -> None:
    # Each of 4 samples comes first equally often in 4,000 draws, within 5 standard deviations.
    firsts = np.bincount([int(epoch_order(4, seed=0, epoch=epoch)[0]) for epoch in range(4_000)], minlength=4)
    assert np.abs(firsts - 1_000).max() < 5 * np.sqrt(4_000 * 0.25 * 0.75)


def test_shuffling_neither_uses_nor_disturbs_the_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = epoch_of(TensorBatches(*numbered(50), batch_size=8, seed=3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert epoch_of(TensorBatches(*numbered(50), batch_size=8, seed=3)) == first


def test_without_a_seed_batches_keep_the_order_of_the_tensor() -> None:
    batches = TensorBatches(*numbered(10), batch_size=4, seed=None)
    assert epoch_of(batches) == epoch_of(batches) == list(range(10))


def test_an_unused_iterator_does_not_count_as_an_epoch() -> None:
    batches, fresh = (TensorBatches(*numbered(30), batch_size=8, seed=1) for _ in range(2))
    iter(batches)
    assert epoch_of(batches) == epoch_of(fresh)


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(
    ("stored", "expected_dtype"),
    [(torch.uint8, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_batches_are_scaled_floating_point(seed: int | None, stored: torch.dtype, expected_dtype: torch.dtype) -> None:
    inputs = torch.arange(12).reshape(6, 2).to(stored)
    batches = TensorBatches(inputs, torch.arange(6), batch_size=4, scale=0.25, seed=seed)
    for batch, labels in batches:  # type: ignore[misc]
        assert batch.dtype == expected_dtype
        assert torch.equal(batch, inputs[labels].to(expected_dtype) * 0.25)
    assert batches.inputs.dtype == stored


@pytest.mark.parametrize("seed", [None, 0])
def test_a_batch_is_never_a_view_of_the_data(seed: int | None) -> None:
    inputs, _ = numbered(6)
    before = inputs.clone()
    for (batch,) in TensorBatches(inputs, batch_size=3, seed=seed):  # type: ignore[misc]
        batch.zero_()
    assert torch.equal(inputs, before)


def test_without_labels_a_batch_has_one_part() -> None:
    assert [len(batch) for batch in TensorBatches(numbered(5)[0], batch_size=2, seed=0)] == [1, 1, 1]


def test_the_data_module_shuffles_only_the_training_split() -> None:
    module = ArrayDataModule(small_arrays(), batch_size=5, seed=3)
    assert sorted(epoch_of(module.train_dataloader())) == list(range(N_TRAIN))
    assert epoch_of(module.train_dataloader()) == epoch_order(N_TRAIN, seed=3, epoch=0).tolist()
    assert epoch_of(module.val_dataloader()) == list(range(23, 29))


def test_whole_splits_are_scaled_and_in_order() -> None:
    arrays = small_arrays()
    module = ArrayDataModule(arrays, batch_size=5, seed=3)
    train_inputs, *train_labels = module.train_sample(N_TRAIN)
    assert torch.equal(train_inputs, torch.from_numpy(arrays.train.inputs * np.float32(0.5)))
    assert torch.equal(module.valid_inputs(), torch.from_numpy(arrays.valid.inputs * np.float32(0.5)))
    valid_labels = module.valid_labels()
    assert valid_labels is not None
    assert [labels.tolist() for labels in train_labels] == [list(range(23))]
    assert valid_labels.tolist() == list(range(23, 29))


def test_validating_on_training_data_shares_one_tensor() -> None:
    train = small_arrays().train
    module = ArrayDataModule(small_arrays(train=train, valid=train, validate_on="train"), batch_size=5, seed=3)
    assert module.train_dataloader().inputs is module.val_dataloader().inputs


def test_read_only_arrays_are_served_without_a_copy_or_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    arrays = small_arrays()
    arrays.train.inputs.flags.writeable = False
    loader = ArrayDataModule(arrays, batch_size=5, seed=3).train_dataloader()
    assert loader.inputs.data_ptr() == arrays.train.inputs.ctypes.data
    assert not [warning for warning in recwarn if "writable" in str(warning.message)]


def test_mapped_batches_hold_codes_with_labels_in_the_same_order() -> None:
    module = ArrayDataModule(small_arrays(), batch_size=5, seed=3)
    weight = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    codes = module.mapped(lambda inputs: inputs @ weight, batch_size=4)
    assert torch.equal(codes.inputs, (module.train_sample(N_TRAIN)[0] @ weight).detach())
    assert epoch_of(codes) == epoch_of(module.train_dataloader())
    assert len(codes) == 6


def test_training_inputs_alone_are_mapped_once_in_big_batches_without_gradients() -> None:
    calls: list[tuple[int, bool]] = []

    def encode(inputs: Tensor) -> Tensor:
        calls.append((len(inputs), torch.is_grad_enabled()))
        return inputs

    codes = ArrayDataModule(small_arrays(), batch_size=5, seed=3).mapped(encode, 5)
    epoch_of(codes)
    epoch_of(codes)
    assert calls == [(N_TRAIN, False)]


class Recorder(LightningModule):
    """A trivial model that records the samples of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: dict[int, list[int]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.seen.setdefault(self.current_epoch, []).extend(batch[1].tolist())
        return self.weight.sum() * batch[0].mean()

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.validated.extend(batch[1].tolist())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAfterTwoEpochs(Callback):
    """Save a checkpoint in the named hook, at the end of epoch 1 or of the training."""

    def __init__(self, hook: str, path: Path) -> None:
        self.hook, self.path = hook, path
        setattr(self, hook, self.save)

    def save(self, trainer: Trainer, _: LightningModule) -> None:
        if trainer.current_epoch == 1 or self.hook == "on_train_end":
            trainer.save_checkpoint(self.path)


def fit(epochs: int, *callbacks: Callback, resume: Path | None = None) -> Recorder:
    recorder = Recorder()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(recorder, ArrayDataModule(small_arrays(), batch_size=5, seed=3), ckpt_path=resume, weights_only=True)
    return recorder


def test_a_trainer_visits_each_sample_once_per_epoch_in_the_order_of_seed_and_epoch() -> None:
    recorder = fit(3)
    assert recorder.seen == {epoch: epoch_order(N_TRAIN, 3, epoch).tolist() for epoch in range(3)}
    assert recorder.validated == list(range(23, 29)) * 3


@pytest.mark.parametrize("hook", ["on_validation_end", "on_train_epoch_end", "on_train_end"])
def test_a_resumed_training_visits_samples_as_if_uninterrupted(tmp_path: Path, hook: str) -> None:
    # Lightning's epoch counters differ between these hooks, so an order that depended on them would differ too.
    fit(2 if hook == "on_train_end" else 4, SaveAfterTwoEpochs(hook, tmp_path / "c.ckpt"))
    resumed = fit(4, resume=tmp_path / "c.ckpt")
    assert resumed.seen == {epoch: epoch_order(N_TRAIN, 3, epoch).tolist() for epoch in (2, 3)}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_codes_stay_on_the_gpu() -> None:
    codes = ArrayDataModule(small_arrays(), batch_size=5, seed=3).mapped(lambda inputs: inputs, 5, "cuda")
    assert all(part.is_cuda for batch in codes for part in batch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_the_gpu_have_the_order_of_the_cpu() -> None:
    inputs, labels = (tensor.to("cuda") for tensor in numbered(50))
    batches = TensorBatches(inputs, labels, batch_size=8, seed=3)
    assert all(part.device == inputs.device for batch in batches for part in batch)
    batches.set_epoch(0)
    assert epoch_of(batches) == epoch_order(50, seed=3, epoch=0).tolist()


def test_an_epoch_of_several_passes_reshuffles_each_pass() -> None:
    inputs = torch.arange(7, dtype=torch.float32).reshape(7, 1)
    once = TensorBatches(inputs, batch_size=3, seed=5)
    thrice = TensorBatches(inputs, batch_size=3, seed=5, passes=3)

    passes = [[batch[0].flatten().tolist() for batch in once] for _ in range(3)]

    assert len(thrice) == 9
    assert [batch[0].flatten().tolist() for batch in thrice] == [rows for one in passes for rows in one]
    assert passes[0] != passes[1]


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, [0]), (4, [0, 6, 12, 18]), (12, [*range(0, 23, 2)]), (23, [*range(23)])]
)
def test_a_subsample_is_evenly_spread_over_its_split(n_samples: int, expected: list[int]) -> None:
    inputs, labels = ArrayDataModule(small_arrays(), batch_size=5, seed=0).train_sample(n_samples)
    assert labels.tolist() == expected
    assert inputs.tolist() == [[0.5 * number, 0.5 * (number + 1), 0.5 * (number + 2)] for number in expected]


def test_a_subsample_of_an_unlabelled_validation_split_has_no_labels() -> None:
    arrays = small_arrays()
    splits = {name: Split(getattr(arrays, name).inputs) for name in ("train", "valid", "test")}
    (inputs,) = ArrayDataModule(small_arrays(n_classes=None, **splits), batch_size=5, seed=0).valid_sample(100)
    assert inputs[:, 0].tolist() == [0.5 * number for number in range(N_TRAIN, N_TRAIN + N_VALID)]

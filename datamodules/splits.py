"""Divides the samples of a data set into train, valid and test: disjoint, drawn by a seed, the same for ever."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DataArrays, DatasetError, Split, chunks
from sweeps.datamodules.config import SplitConfig


@dataclass(frozen=True, eq=False)
class Source:
    """A data set before it is split; `test` is its published test set, if it has one."""

    name: str
    samples: Split
    test: Split | None = None
    scale: float = 1.0
    image_shape: tuple[int, int] | None = None
    n_classes: int | None = None


@dataclass(frozen=True)
class Sizes:
    """How many samples each split gets; `n_valid` is 0 where another split is validated on."""

    n_train: int
    n_valid: int
    n_test: int


def split(source: Source, config: SplitConfig) -> DataArrays:
    """The three splits of `source`. Raises DatasetError when there are too few samples for the sizes asked.

    Of one pool, the test split is drawn first, then valid, then train, so that asking for fewer training samples
    leaves the others as they are, and takes a part of those that would have been there.
    """
    sizes = split_sizes(source, config)
    order = draw_order(len(source.samples), config.seed)
    if source.test is None:
        test, order = source.samples.take(np.sort(order[: sizes.n_test])), order[sizes.n_test :]
    else:
        test = source.test.take(np.sort(draw_order(len(source.test), config.seed)[: sizes.n_test]))
    valid = source.samples.take(np.sort(order[: sizes.n_valid]))
    train = source.samples.take(np.sort(order[sizes.n_valid : sizes.n_valid + sizes.n_train]))
    return DataArrays(
        name=source.name,
        train=train,
        valid={"train": train, "valid": valid, "test": test}[config.validate_on],
        test=test,
        scale=source.scale,
        image_shape=source.image_shape,
        n_classes=source.n_classes,
        checksum=checksum(source),
        validate_on=config.validate_on,
        seed=config.seed,
    )


def split_sizes(source: Source, config: SplitConfig) -> Sizes:
    """The sizes asked for, or their defaults: see SplitConfig."""
    if config.validate_on != "valid" and config.n_valid is not None:
        raise DatasetError(
            f"data.n_valid must be left out where data.validate_on is {config.validate_on}, as no validation split is "
            f"set aside then; came n_valid {config.n_valid}: remove it, or set validate_on to valid"
        )
    n_pool = len(source.samples)
    n_test = _n_test(source, config)
    if config.validate_on == "test" and not n_test:
        raise DatasetError("data.validate_on test needs test samples; n_test is 0: set data.n_test to 1 or more")
    left = n_pool if source.test is not None else n_pool - n_test
    n_valid = 0
    if config.validate_on == "valid":
        n_valid = max(1, left // 6) if config.n_valid is None else config.n_valid
    n_train = left - n_valid if config.n_train is None else config.n_train
    if n_train < 1 or n_train + n_valid > left:
        raise DatasetError(_too_few(source, config, Sizes(max(1, n_train), n_valid, n_test)))
    return Sizes(n_train, n_valid, n_test)


def draw_order(n_samples: int, seed: int) -> NDArray[np.intp]:
    """The numbers below `n_samples` in an order that only `seed` decides.

    From the raw bits of PCG64, which NumPy promises never to change (NEP 19), as it does for no `permutation`.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(n_samples), kind="stable")


def checksum(source: Source) -> str:
    """SHA-256 over shapes, types and bytes of the inputs and labels, the published test set included."""
    digest = hashlib.sha256()
    for part in (source.samples, source.test):
        for array in (part.inputs, part.labels) if part is not None else ():
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                for rows in chunks(array):
                    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


def _n_test(source: Source, config: SplitConfig) -> int:
    if source.test is None:
        return len(source.samples) // 5 if config.n_test is None else config.n_test
    if config.n_test is not None and config.n_test > len(source.test):
        raise DatasetError(
            f"data.n_test can be at most the {len(source.test)} samples of {source.name}'s published test set, "
            f"not {config.n_test}: lower it, or leave it out to take them all"
        )
    return len(source.test) if config.n_test is None else config.n_test


def _too_few(source: Source, config: SplitConfig, sizes: Sizes) -> str:
    """Says what was asked, marking what nobody set, and which setting to lower."""
    parts = [("n_train", sizes.n_train), ("n_valid", sizes.n_valid)]
    if source.test is None:
        parts.append(("n_test", sizes.n_test))
    asked = " + ".join(
        f"{name} {size}" + (" (the least)" if name == "n_train" and config.n_train is None else
                            " (by default)" if getattr(config, name) is None else "")
        for name, size in parts if size
    )  # fmt: skip
    return (
        f"data set {source.name} has {len(source.samples)} samples to divide"
        f"{'' if source.test is None else ' beside its published test set'}, and {asked} were asked for: "
        f"lower data.n_train, data.n_valid or data.n_test so that they add up to no more"
    )

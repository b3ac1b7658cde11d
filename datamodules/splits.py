"""Split a data set into train, valid and test: disjoint, drawn by a seed, and reproducible forever."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DataArrays, DatasetError, Split, chunks
from sweeps.datamodules.missing_values import MissingValues, fitted_to
from sweeps.datamodules.split_config import SplitConfig
from sweeps.datamodules.table_encoding import TableEncoding


@dataclass(frozen=True, eq=False)
class Source:
    """A data set before it is split; `test` is its published test set, if it has one.

    One from a table has its encoding and the counts of its missing values, which are NaN in the inputs.
    """

    name: str
    samples: Split
    test: Split | None = None
    scale: float = 1.0
    image_shape: tuple[int, ...] | None = None
    n_classes: int | None = None
    table: TableEncoding | None = None
    missing: MissingValues | None = None


@dataclass(frozen=True)
class Sizes:
    """The number of samples of each split; `n_valid` is 0 if validation is on another split."""

    n_train: int
    n_valid: int
    n_test: int


def split(source: Source, config: SplitConfig) -> DataArrays:
    """Return the three splits of `source`. Raises DatasetError if there are too few samples for the sizes asked for.

    From one pool, test is drawn first, then valid, then train: a smaller `n_train` selects a subset of the training
    samples, and does not change the other splits. With `missing: mean`, missing values of all splits become the means
    of the training split.
    """
    sizes = split_sizes(source, config)
    order = draw_order(len(source.samples), config.seed)
    if source.test is None:
        test, order = source.samples.take(np.sort(order[: sizes.n_test])), order[sizes.n_test :]
    else:
        test = source.test.take(np.sort(draw_order(len(source.test), config.seed)[: sizes.n_test]))
    valid = source.samples.take(np.sort(order[: sizes.n_valid]))
    train = source.samples.take(np.sort(order[sizes.n_valid : sizes.n_valid + sizes.n_train]))
    table = source.table
    if table is not None:
        table = fitted_to(train.inputs, table)
        train, valid, test = (part.filled(table.fill) for part in (train, valid, test))
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
        has_missing=table is not None and table.missing == "mask",
        table=None if table is None else table.to_dict(),
        missing=None if source.missing is None else source.missing.to_dict(),
    )


def split_sizes(source: Source, config: SplitConfig) -> Sizes:
    """Return the sizes asked for, or their defaults: see SplitConfig. Raises DatasetError if they do not fit."""
    if config.validate_on != "valid" and config.n_valid is not None:
        raise DatasetError(
            f"data.n_valid must be left out where data.validate_on is {config.validate_on}, as no validation split is "
            f"set aside then; got n_valid {config.n_valid}: remove it, or set validate_on to valid"
        )
    n_pool = len(source.samples)
    n_test = _n_test(source, config)
    if config.validate_on == "test" and not n_test:
        raise DatasetError("data.validate_on test needs test samples; n_test is 0: set data.n_test to 1 or more")
    n_remaining = n_pool if source.test is not None else n_pool - n_test
    n_valid = 0
    if config.validate_on == "valid":
        n_valid = max(1, n_remaining // 6) if config.n_valid is None else config.n_valid
    n_train = n_remaining - n_valid if config.n_train is None else config.n_train
    if n_train < 1 or n_train + n_valid > n_remaining:
        raise DatasetError(_too_few(source, config, Sizes(max(1, n_train), n_valid, n_test)))
    return Sizes(n_train, n_valid, n_test)


def draw_order(n_samples: int, seed: int) -> NDArray[np.intp]:
    """Return a permutation of `n_samples` that only `seed` decides.

    It uses the raw bits of PCG64, which NumPy promises never to change (NEP 19), unlike `permutation`.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(n_samples), kind="stable")


def checksum(source: Source) -> str:
    """Return the SHA-256 of shapes, types and bytes of inputs and labels, including the published test set.

    That of a table covers the names of its columns, categories and classes too, but not how missing values are handled.
    """
    digest = hashlib.sha256()
    if source.table is not None:
        encoding = source.table.to_dict()
        named = {key: encoding[key] for key in ("columns", "classes")}
        digest.update(json.dumps(named, sort_keys=True).encode())
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
    """Return a message with the sizes asked for, which of them are defaults, and what to lower."""
    parts = [("n_train", sizes.n_train), ("n_valid", sizes.n_valid)]
    if source.test is None:
        parts.append(("n_test", sizes.n_test))
    asked = " + ".join(
        f"{name} {size}" + (" (minimum)" if name == "n_train" and config.n_train is None else
                            " (by default)" if getattr(config, name) is None else "")
        for name, size in parts if size
    )  # fmt: skip
    return (
        f"data set {source.name} has {len(source.samples)} samples to divide"
        f"{'' if source.test is None else ' beside its published test set'}, and {asked} were asked for: "
        f"lower data.n_train, data.n_valid or data.n_test so that they add up to no more"
    )

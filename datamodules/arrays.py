"""The arrays of a data set, split and ready to be sent to workers; and the exception for data that cannot be used."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Inputs: TypeAlias = NDArray[np.uint8 | np.float32]
Labels: TypeAlias = NDArray[np.int64]

# A scale that was typed with six digits or more, such as 0.00392157 for bytes, may give a little more than 1.
_ROUNDING = 1e-6

# Arrays are processed in chunks of about 32 MiB where temporaries would otherwise be as large as the array.
CHUNK_BYTES = 32 * 2**20


class DatasetError(Exception):
    """A data set is missing, damaged or cannot be split as asked; `issues` holds one line per issue."""

    def __init__(self, *issues: str) -> None:
        self.issues: tuple[str, ...] = tuple(" ".join(issue.split()) for issue in issues)
        super().__init__("\n".join(self.issues))


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of a split: `inputs` (samples, features), and `labels` (samples,) if there are any."""

    inputs: Inputs
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def spread(self, n_samples: int) -> slice:
        """Return the rows of at most `n_samples` samples, evenly spread, so that sorted classes all occur."""
        return slice(None, None, max(1, -(-len(self) // n_samples)))

    def take(self, indices: NDArray[np.intp]) -> "Split":
        """Return the samples at `indices`; without a copy if these are all samples in order."""
        if len(indices) == len(self) and np.array_equal(indices, np.arange(len(self))):
            return self
        return Split(self.inputs[indices], None if self.labels is None else self.labels[indices])

    def filled(self, fill: Callable[[Any], Inputs]) -> "Split":
        """Return the same samples with `fill` applied to their inputs."""
        return Split(fill(self.inputs), self.labels)


@dataclass(frozen=True, eq=False)
class DataArrays:
    """A data set in three disjoint splits, uint8 or float32; inputs are multiplied by `scale` when a batch is taken.

    `valid/...` metrics are measured on `valid`, which is the `train` or `test` object itself if `validate_on` names it.
    `checksum` is a SHA-256 of the whole data set before it was split; `n_withheld` is the number of test samples that
    were not sent to the worker. Only if `has_missing` may inputs be NaN, where a value is missing. `table`, if the data
    come from one, is its `TableEncoding` as plain values, and `missing` the counts of its missing values. Raises
    DatasetError for inconsistent arrays.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    scale: float
    image_shape: tuple[int, ...] | None
    n_classes: int | None
    checksum: str
    validate_on: str
    seed: int
    n_withheld: int = 0
    has_missing: bool = False
    table: Mapping[str, Any] | None = None
    missing: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        issues = _issues(self)
        if issues:
            raise DatasetError(*(f"data set {self.name}: {issue}" for issue in issues))

    @property
    def n_features(self) -> int:
        """The number of features of a sample."""
        return int(self.train.inputs.shape[1])

    def value_range(self) -> tuple[float, float]:
        """Return the smallest and the largest scaled input of all splits, of those that are not missing."""
        splits = [split.inputs for split in (self.train, self.valid, self.test) if len(split)]
        low = min(float(np.fmin.reduce(inputs, axis=None)) for inputs in splits)
        high = max(float(np.fmax.reduce(inputs, axis=None)) for inputs in splits)
        return low * self.scale, high * self.scale

    def describe(self) -> dict[str, Any]:
        """Return what a run records of its data: plain values, the same on the driver and on a worker."""
        return {
            "name": self.name,
            "n_train": len(self.train),
            "n_valid": len(self.valid),
            "n_test": len(self.test) + self.n_withheld,
            "n_features": self.n_features,
            "n_classes": self.n_classes,
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "scale": self.scale,
            "validate_on": self.validate_on,
            "seed": self.seed,
            "checksum": self.checksum,
        } | ({} if self.table is None else {"table": self.table, "missing": self.missing})

    def without_test(self) -> dict[str, Any]:
        """Return plain values and NumPy arrays for a worker, without test samples unless it validates on them."""
        crossing: dict[str, Any] = {
            "name": self.name,
            "scale": self.scale,
            "image_shape": self.image_shape,
            "n_classes": self.n_classes,
            "checksum": self.checksum,
            "validate_on": self.validate_on,
            "seed": self.seed,
            "n_withheld": self.n_withheld + (0 if self.validate_on == "test" else len(self.test)),
            "train_inputs": self.train.inputs,
            "train_labels": self.train.labels,
        }
        if self.table is not None:
            crossing |= {"has_missing": self.has_missing, "table": self.table, "missing": self.missing}
        if self.validate_on != "train":
            crossing |= {"valid_inputs": self.valid.inputs, "valid_labels": self.valid.labels}
        return crossing

    @classmethod
    def from_dict(cls, crossing: Mapping[str, Any]) -> "DataArrays":
        """Return, validated, the data that `without_test` returned; arrays, which may be read-only, are not copied."""
        values = dict(crossing)
        try:
            train = Split(values.pop("train_inputs"), values.pop("train_labels"))
            valid = train
            if values["validate_on"] != "train":
                valid = Split(values.pop("valid_inputs"), values.pop("valid_labels"))
            test = valid if values["validate_on"] == "test" else train.take(np.arange(0))
            shape = values.pop("image_shape")
            return cls(
                train=train, valid=valid, test=test, image_shape=None if shape is None else tuple(shape), **values
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"data must come as without_test() makes it; got something else: {error!r}") from error


def check_unit_interval(arrays: DataArrays, needed_by: str = "loss bce", instead: str = "loss mse") -> None:
    """Raise DatasetError unless all scaled inputs lie in [0, 1], as `needed_by` requires and `instead` does not."""
    low, high = arrays.value_range()
    if low < 0 or high > 1 + _ROUNDING:
        hint = f"set data.scale to {arrays.scale / high}" if low >= 0 else "rescale the inputs"
        raise DatasetError(
            f"{needed_by} needs inputs in [0, 1]; those of {arrays.name} times scale {arrays.scale:g} lie in "
            f"[{low:g}, {high:g}]: {hint} or use {instead}"
        )


def all_finite(inputs: Inputs, *, except_nan: bool = False) -> bool:
    """Return whether `inputs` (samples, features) are free of infinity, and unless `except_nan` of NaN, in chunks."""
    if inputs.dtype == np.uint8:
        return True
    if except_nan:
        return not any(np.isinf(rows).any() for rows in chunks(inputs))
    return all(np.isfinite(rows).all() for rows in chunks(inputs))


def chunks(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Return views of `array` along its first axis, each of about CHUNK_BYTES."""
    rows = max(1, CHUNK_BYTES // max(1, array.nbytes // max(1, len(array))))
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def _issues(arrays: DataArrays) -> list[str]:
    issues = []
    splits = {id(split): (name, split) for name, split in vars(arrays).items() if isinstance(split, Split)}
    for name, split in splits.values():
        issues += [f"{name} {issue}" for issue in _split_issues(split, arrays)]
    if not len(arrays.train) or not len(arrays.valid):
        issues.append(f"needs samples to train and to validate on; has {len(arrays.train)} and {len(arrays.valid)}")
    if not (np.isfinite(arrays.scale) and arrays.scale > 0):
        issues.append(f"scale must be a positive number, not {arrays.scale}")
    shape, inputs = arrays.image_shape, arrays.train.inputs
    if shape is not None and inputs.ndim == 2 and math.prod(shape) != inputs.shape[1]:
        issues.append(
            f"image_shape must multiply to the {inputs.shape[1]} features of a sample; "
            f"{list(shape)} gives {math.prod(shape)}: correct image_shape or leave it out"
        )
    return issues


def _split_issues(split: Split, arrays: DataArrays) -> list[str]:
    inputs, labels = split.inputs, split.labels
    if inputs.ndim != 2 or inputs.dtype not in (np.uint8, np.float32) or not inputs.shape[1]:
        return [f"inputs must be (samples, features) of uint8 or float32, not {inputs.shape} of {inputs.dtype}"]
    issues = []
    if arrays.train.inputs.shape[1:] != inputs.shape[1:]:
        issues.append(f"inputs must have the {arrays.train.inputs.shape[1:]} features of train, not {inputs.shape[1:]}")
    if not all_finite(inputs, except_nan=arrays.has_missing):
        issues.append("inputs must be finite numbers; got NaN or infinity: remove or replace those samples")
    if (labels is None) != (arrays.n_classes is None):
        issues.append("labels and n_classes must both be given or both be absent")
    elif labels is not None and arrays.n_classes is not None:
        if labels.shape != inputs.shape[:1] or labels.dtype != np.int64:
            issues.append(f"labels must be {inputs.shape[:1]} of int64, not {labels.shape} of {labels.dtype}")
        elif len(labels) and not (labels.min() >= 0 and labels.max() < arrays.n_classes):
            issues.append(f"labels must lie in 0..{arrays.n_classes - 1}, not in {labels.min()}..{labels.max()}")
    return issues

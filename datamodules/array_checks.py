"""Checks of a user's own arrays: what must hold of inputs and labels, with errors that name the array."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DatasetError, Inputs, Labels, all_finite, chunks

NUMBERED = "for instance with numpy.unique(y, return_inverse=True)[1]"
MAPPED_AS_THEY_ARE = (np.dtype(np.uint8), np.dtype(np.float32))
# Larger labels are more likely to be ids than classes.
_MOST_CLASSES = 1000


def check_inputs(raw: NDArray[Any], array: str, swapped: str) -> None:
    """Raise DatasetError unless `raw` holds real numbers of shape (samples, features...).

    `array` names it in the error; `swapped` is the question whether other settings were swapped, or empty.
    """
    if raw.dtype.kind not in "buif":
        raise DatasetError(
            f"{array} must hold real numbers as inputs; it holds {raw.dtype}: {swapped or 'convert them to float32'}"
        )
    if raw.ndim < 2 or not raw.size:
        remedy = "save it with samples along the first axis"
        if raw.ndim == 1 and raw.size:
            remedy = f"if each number is a sample, reshape the array to ({len(raw)}, 1)"
        raise DatasetError(
            f"{array} must hold inputs of shape (samples, features...), and at least one; got {raw.shape}: "
            f"{swapped or remedy}"
        )


def as_inputs(raw: NDArray[Any], array: str) -> Inputs:
    """Return inputs as (samples, features); uint8 and float32 keep their type, other numbers become float32.

    Raises DatasetError for values that are not finite, where `array` names them.
    """
    n_features = math.prod(raw.shape[1:])
    if raw.dtype in MAPPED_AS_THEY_ARE:
        inputs: Inputs = raw.reshape(len(raw), n_features)
    else:
        inputs = np.empty((len(raw), n_features), np.uint8 if raw.dtype.kind == "b" else np.float32)
        start = 0
        with np.errstate(over="ignore"):  # values beyond float32 become infinite, and are rejected below
            for rows in chunks(raw):
                inputs[start : start + len(rows)] = rows.reshape(len(rows), n_features)
                start += len(rows)
    if not all_finite(inputs):
        raise DatasetError(
            f"{array} must hold finite numbers that float32 can represent; got NaN or infinity: "
            f"remove or replace those samples"
        )
    return inputs


def evident_image_shape(shape: Sequence[int]) -> tuple[int, ...] | None:
    """Return the shape of a sample without axes of length 1 if it is evidently an image, in grey or in colour."""
    sizes = tuple(size for size in shape if size > 1)
    is_grey, is_colour = len(sizes) == 2, len(sizes) == 3 and 3 in (sizes[0], sizes[-1])
    return sizes if len(shape) > 1 and (is_grey or is_colour) else None


def as_labels(raw: NDArray[Any], array: str, n_samples: int) -> Labels:
    """Return `raw` as one class a sample, counted from 0. Raises DatasetError, where `array` names it."""
    if raw.shape != (n_samples,):
        raise DatasetError(
            f"labels must be one number a sample, of shape ({n_samples},); {array} has {raw.shape}: "
            f"correct the labels, or leave them out"
        )
    if raw.dtype.kind not in "bui":
        remedy = f"convert them{f', {NUMBERED}' if raw.dtype.kind in 'US' else ''}"
        raise DatasetError(f"labels must be integers that count classes from 0; {array} has {raw.dtype}: {remedy}")
    lowest, highest = int(raw.min()), int(raw.max())
    if lowest >= 0 and n_samples <= highest < _MOST_CLASSES:
        raise DatasetError(
            f"there must be at least as many samples as classes; {array} has labels up to {highest}, which makes "
            f"{highest + 1} classes counted from 0, and {n_samples} samples are too few: add samples, or renumber the "
            f"labels, {NUMBERED}"
        )
    if lowest < 0 or highest >= n_samples:
        raise DatasetError(
            f"labels must count classes from 0, fewer than there are samples ({n_samples}); {array} has "
            f"{lowest} to {highest}: renumber them, {NUMBERED}"
        )
    return raw.astype(np.int64)

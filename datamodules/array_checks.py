"""Checks of a user's own arrays: what must hold of inputs and labels, with errors that name the array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DatasetError, Labels

NUMBERED = "for instance with numpy.unique(y, return_inverse=True)[1]"
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

"""The file in which a trial keeps the objective's value of each validation sample at its best epoch."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.storage.array_file import ArrayFileError, read_arrays
from sweeps.storage.layout import PointFolder
from sweeps.storage.object_store import Place


@dataclass(frozen=True)
class SampleValues:
    """The values (samples,), float32, whose mean is `metric` after `epoch`."""

    metric: str
    epoch: int
    values: NDArray[np.float32]


def place(folder: PointFolder) -> Place:
    """Return where a point keeps the file."""
    return folder.path / "best-samples.npz"


def dumps(metric: str, epoch: int, values: NDArray[np.float32]) -> bytes:
    """Return the content of the file."""
    content = io.BytesIO()
    kept = np.asarray(values, dtype=np.float32)
    np.savez(content, allow_pickle=False, values=kept, epoch=np.asarray(epoch), metric=np.asarray(metric))
    return content.getvalue()


def read(folder: PointFolder) -> SampleValues | None:
    """Return what a point keeps; None if it has no file. ArrayFileError if the file is damaged."""
    path = place(folder)
    if not path.exists():
        return None
    arrays = read_arrays(path)
    try:
        values = np.asarray(arrays["values"], dtype=np.float32)
        found = SampleValues(str(arrays["metric"]), int(arrays["epoch"]), values)
    except (KeyError, TypeError, ValueError) as error:
        raise ArrayFileError(f"{path} must hold values, an epoch and a metric: {error}") from error
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ArrayFileError(f"{path} must hold a row of finite values, and has the shape {values.shape}")
    return found

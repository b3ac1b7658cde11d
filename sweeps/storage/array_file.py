"""Read the `.npz` files that trials leave for figures, and those of caches: no pickles, and one kind of error."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.storage.object_store import Place
from sweeps.storage.private_files import read_file

_MAX_BYTES = 2**30


class ArrayFileError(ValueError):
    """A file of arrays is missing, damaged or of another kind."""


def read_arrays(path: Place) -> dict[str, NDArray[Any]]:
    """Return the arrays of an `.npz` file by name. Raises ArrayFileError if it cannot be read as one."""
    try:
        with np.load(io.BytesIO(read_file(path, _MAX_BYTES)), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # a damaged archive makes the unzipper and NumPy raise errors of many kinds
        raise ArrayFileError(f"{path} must be a file of arrays, and cannot be read as one: {error}") from error

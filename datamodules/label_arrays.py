"""Arrays of an `.npz` that could hold its labels, found by their headers: for data that were read without labels."""

import io
import math
import zipfile
from pathlib import Path

from numpy.lib import format as npy_format

from sweeps.datamodules.array_files import DAMAGE, HEADER_BYTES
from sweeps.datamodules.own_data_config import ArrayConfig, expanded

_INTEGERS = "bui"
_Header = tuple[tuple[int, ...], str]


def label_advice(config: ArrayConfig) -> str:
    """Return which setting would give the labels: `data.labels_key`, if the file has an array that could hold them."""
    found = possible_labels(expanded(config.path), config.inputs_key)
    if found:
        return f"set data.labels_key: the file also holds {', '.join(found)}"
    return "set data.labels_key, or data.labels_path, to integers that count classes from 0, one for each sample"


def possible_labels(path: Path, inputs_key: str) -> list[str]:
    """Return the arrays of an `.npz` with one integer for each sample of `inputs_key`; none for any other file."""
    try:
        headers = _headers(path)
    except DAMAGE:  # no zip file
        return []
    if inputs_key not in headers:
        return []
    n_samples = headers.pop(inputs_key)[0][0]
    return [key for key, (shape, kind) in headers.items() if shape == (n_samples,) and kind in _INTEGERS]


def _headers(path: Path) -> dict[str, _Header]:
    """Return the shape and the kind of each array that is not empty; an array without a readable header is left out."""
    headers: dict[str, _Header] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            try:
                with archive.open(name) as member:
                    start = io.BytesIO(member.read(HEADER_BYTES))
                version = npy_format.read_magic(start)
                read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
                shape, _, dtype = read(start)
            except (*DAMAGE, MemoryError, RecursionError):  # not an array, or damaged: no candidate
                continue
            if math.prod(shape) and shape:
                headers[name.removesuffix(".npy")] = tuple(shape), dtype.kind
    return headers

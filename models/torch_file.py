"""Files that version 0.1 wrote with `torch.save`: read as plain values and tensors, and nothing in them runs.

This is the only place that reads a pickle.
"""

import io
import re
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from sweeps.models.errors import ModelError

_ZIP = b"PK\x03\x04"
# What `torch.load` accepts and version 0.1 did not write: a few bytes of it allocate any amount of memory.
_ALLOCATION = re.compile(rb"c(?:__builtin__|builtins)\n|ctorch\.storage\n|Tensor\n|_rebuild_(?!tensor_v2\n)")


def is_torch_file(content: bytes) -> bool:
    """Return whether content is that of a file of version 0.1, by its first bytes."""
    return content.startswith(_ZIP)


def loads(content: bytes) -> Any:
    """Return the values of a file of version 0.1, on the CPU. Raises ModelError for anything else."""
    try:
        _check_size(content)
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        _check_tensors(values)
        return values
    except Exception as error:  # a damaged or foreign file makes the unpickler raise errors of many kinds
        raise ModelError("it is damaged, or holds more than plain values and tensors") from error


def _check_size(content: bytes) -> None:
    """Raise ValueError if the file would become larger in memory than it is."""
    with ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
    if any(part.compress_type != ZIP_STORED for part in parts) or sum(part.file_size for part in parts) > len(content):
        raise ValueError("the parts must be stored as they are, and side by side")
    if _ALLOCATION.search(content):
        raise ValueError("the values must be plain values and tensors of the file")


def _check_tensors(values: Any) -> None:
    """Raise ValueError if a tensor shows a value of the file more than once: a copy of it could have any size."""
    left, seen = [values], set()
    while left:
        value = left.pop()
        if isinstance(value, torch.Tensor) and value.nbytes > value.untyped_storage().nbytes():
            raise ValueError("the tensors must not be larger than their values in the file")
        if isinstance(value, dict | list | tuple | set) and id(value) not in seen:  # a pickle can hold cycles
            seen.add(id(value))
            left.extend(value.values() if isinstance(value, dict) else value)

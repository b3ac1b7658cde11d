"""Plain values and tensors as one safetensors file: exact in both directions, and no pickle.

The file holds each tensor under its path in the values, the values as JSON, and a checksum. JSON has no tensors, bytes,
tuples or dicts with other keys than text: an object of one key stands for them, such as `{"$tensor": "weights.0"}`.
The JSON is a tensor of bytes, not metadata: safetensors limits metadata to 100 MB and parses them before any check.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from sweeps.models import torch_file
from sweeps.models.errors import ModelError

# Far more than a training needs: the names of 100,000 tensors, and two values for each of 5,000,000 epochs.
MAX_HEADER_BYTES = 2**24
MAX_VALUES = 10_000_000
_VALUES, _CHECKSUM = "__values__", "__crc32__"
_MARK = "$"
_SCALARS = (str, int, float, bool, type(None))


class Readable(Protocol):
    """A file, local or in an object store."""

    def read_bytes(self) -> bytes:
        """Return its content."""


def read(path: Readable, kind: str) -> Any:
    """Return the values in a file of this version, or in one that an earlier version wrote with `torch.save`.

    `kind` is what the file must hold, such as "a network". Raises ModelError if it cannot be read.
    """
    content = path.read_bytes()
    try:
        return torch_file.loads(content) if torch_file.is_torch_file(content) else loads(content)
    except ModelError as error:
        raise ModelError(f"{path} must be {kind} saved by this package, and cannot be read as one: {error}") from error


def dumps(values: Any) -> bytes:
    """Return a file of plain values and tensors: dicts, lists, tuples, str, int, float, bool, None and bytes.

    Keys are str or int. Tensors that are one object, or share all of their memory, are stored once. They become
    contiguous, and parameters become plain tensors. Raises TypeError for anything else.
    """
    writer = _Writer()
    text = json.dumps(writer.plain(values, ""), separators=(",", ":")).encode()
    tensors = writer.tensors | {_VALUES: _of_bytes(text)}
    return safetensors.save(tensors | {_CHECKSUM: _checksum(tensors)})


def loads(content: bytes) -> Any:
    """Return the values of a file that `dumps` returned. Raises ModelError for any other content."""
    if int.from_bytes(content[:8], "little") > MAX_HEADER_BYTES:
        raise ModelError("it is another kind of file")
    try:
        tensors = safetensors.load(content)
    except (SafetensorError, KeyError, RuntimeError) as error:  # a bad layout, an unknown dtype, an impossible shape
        raise ModelError("it is empty, truncated or another kind of file") from error
    checksum = tensors.pop(_CHECKSUM, None)
    if checksum is None or _VALUES not in tensors:
        raise ModelError("it is a safetensors file from elsewhere")
    if checksum.tolist() != _checksum(tensors).tolist():
        raise ModelError("its content has changed since it was written")
    text = bytes(tensors.pop(_VALUES).reshape(-1).view(torch.uint8).numpy())
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise ModelError(f"it holds more than {MAX_VALUES:,} values")
    try:
        return _Reader(tensors).restored(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError("its values are not those of a file of this package") from error


def difference(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Return in what the names, shapes or dtypes of tensors differ from those expected; None if in nothing."""
    for name in sorted(tensors.keys() ^ expected.keys()):
        return f"{name} is missing" if name in expected else f"{name} is not part of it"
    for name, tensor in tensors.items():
        if (tensor.shape, tensor.dtype) != (expected[name].shape, expected[name].dtype):
            return f"{name} is {_described(tensor)}, not {_described(expected[name])}"
    return None


class _Writer:
    """Turns values into what JSON can express, and collects their tensors by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[Any, str] = {}
        self._stored: set[int] = set()

    def plain(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is list:
            return [self.plain(part, f"{path}.{index}") for index, part in enumerate(value)]
        if kind is tuple:
            return {"$tuple": self.plain(list(value), path)}
        if isinstance(value, dict):
            return self._plain_dict(value, path)
        if isinstance(value, Tensor):
            return {"$tensor": self._name(value, path)}
        if kind is bytes:
            return {"$bytes": self._name(_of_bytes(value), path)}
        raise TypeError(f"{path.strip('.') or 'the value'} must be a plain value or a tensor, not a {kind.__name__}")

    def _plain_dict(self, value: dict[Any, Any], path: str) -> Any:
        pairs = [(key, self.plain(part, f"{path}.{key}")) for key, part in value.items()]
        if all(type(key) is str and not key.startswith(_MARK) for key in value):
            return dict(pairs)
        if all(type(key) in (str, int) for key in value):
            return {"$dict": pairs}
        raise TypeError(f"the keys of {path.strip('.') or 'a dict'} must be text or whole numbers")

    def _name(self, tensor: Tensor, path: str) -> str:
        """Return the name under which a tensor is stored: its path, unless that is taken."""
        if tensor.layout is not torch.strided or tensor.is_meta:
            raise TypeError(f"{path.strip('.')} must be a dense tensor with values")
        memory = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        key = memory if tensor.numel() else id(tensor)
        if key not in self._names:
            name = path.strip(".").encode("ascii", "replace").decode() or "value"
            while name in self.tensors or name in (_VALUES, _CHECKSUM, "__metadata__"):
                name += "_"
            self.tensors[name] = self._alone(tensor.detach().cpu().contiguous())
            self._names[key] = name
        return self._names[key]

    def _alone(self, tensor: Tensor) -> Tensor:
        """Return a tensor, or a copy if it is a part of its memory or shares it: safetensors refuses such tensors."""
        memory = tensor.untyped_storage()
        if memory.nbytes() != tensor.nbytes or memory.data_ptr() in self._stored:
            return tensor.clone()
        self._stored.add(memory.data_ptr())
        return tensor


class _Reader:
    """Turns what `_Writer` returned into the values again."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._markers: dict[str, Callable[[Any], Any]] = {
            "$tuple": lambda parts: tuple(self.restored(_a_list(parts))),
            "$tensor": lambda name: self._tensors[name],
            # Once for each tensor: a small file can name one a million times.
            "$bytes": cache(lambda name: bytes(self._tensors[name].numpy())),
            "$dict": lambda pairs: {_a_key(key): self.restored(part) for key, part in _a_list(pairs)},
        }

    def restored(self, value: Any) -> Any:
        """Restore values, in place where that is possible: a second copy would double the memory."""
        if isinstance(value, list):
            for index, part in enumerate(value):
                value[index] = self.restored(part)
        elif isinstance(value, dict):
            marker = next((key for key in value if key.startswith(_MARK)), None)
            if marker is not None:
                (body,) = value.values()
                return self._markers[marker](body)
            for key, part in value.items():
                value[key] = self.restored(part)
        return value


def _a_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list must be here")
    return value


def _a_key(value: Any) -> str | int:
    if type(value) not in (str, int):
        raise TypeError("a key must be text or a whole number")
    return value  # type: ignore[no-any-return]


def _of_bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)


def _checksum(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the CRC-32 of tensors with their names, dtypes and shapes: (1,)."""
    checksum = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        checksum = zlib.crc32(f"{name} {_described(tensor)}".encode(), checksum)
        if tensor.numel():
            checksum = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, checksum)
    return torch.tensor([checksum])


def _described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"

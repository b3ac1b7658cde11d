"""Read a user's own `.npy` or `.npz` file: memory-mapped if possible, never unpickled, validated throughout."""

import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from sweeps.datamodules.array_checks import NUMBERED, as_inputs, as_labels, check_inputs, evident_image_shape
from sweeps.datamodules.arrays import DatasetError, Labels, Split, chunks
from sweeps.datamodules.data_paths import check_is_file
from sweeps.datamodules.own_data_config import ArrayConfig, expanded
from sweeps.datamodules.splits import Source

ZIP_MAGIC = b"PK\x03\x04"
LOCAL_HEADER_BYTES = 30
# Deflate reaches 1,032 to 1 on zeros; real data, even if sparse, stay far below this.
LARGEST_EXPANSION = 200
SMALL_BYTES = 64 * 2**20
# No header of np.save is longer.
HEADER_BYTES = 2**16
# What zipfile and NumPy's header reader raise for damaged files; encryption is a RuntimeError.
DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_array(config: ArrayConfig) -> Source:
    """Load the inputs, flattened to (samples, features), and the labels that `config` names. Raises DatasetError."""
    path = expanded(config.path)
    raw = read_array(path, config.inputs_key)
    if raw is None:
        raise DatasetError(
            f"{path} must hold an array {config.inputs_key!r}; it holds {_listed(_keys(path))}: set data.inputs_key"
        )
    array = _array(path, config.inputs_key)
    check_inputs(raw, array, _swapped(config, raw, path))
    inputs = as_inputs(raw, array)
    labels = _read_labels(config, path, len(inputs))
    return Source(
        path.name,
        Split(inputs, labels),
        scale=config.scale,
        image_shape=_image_shape(config, raw.shape[1:], path),
        n_classes=None if labels is None else int(labels.max()) + 1,
    )


def read_array(path: Path, key: str) -> NDArray[Any] | None:
    """Return the array of an `.npy`, or the array `key` of an `.npz`, None if it has none. Raises DatasetError."""
    try:
        check_is_file(path, "an .npy or .npz file")
        content = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
        if not _is_npz(path):
            return _parse_npy(content, path, key)
        member = _npz_member(content, path, key)
        return None if member is None else _parse_npy(member, path, key)
    except DAMAGE as error:
        raise _unreadable(path, str(error)) from error


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays of an `.npz`, none for an `.npy`. Raises DatasetError."""
    try:
        return _keys(path) if path.is_file() and _is_npz(path) else []
    except DAMAGE as error:
        raise _unreadable(path, str(error)) from error


def _is_npz(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _npz_member(content: NDArray[np.uint8], path: Path, key: str) -> NDArray[np.uint8] | None:
    """Return the bytes of KEY.npy in a zip file: memory-mapped if stored, in memory if compressed."""
    with zipfile.ZipFile(path) as archive:
        if f"{key}.npy" not in archive.namelist():
            return None
        member = archive.getinfo(f"{key}.npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _unreadable(path, f"array {key!r} is compressed in a way that np.savez_compressed does not use")
        if member.compress_type == zipfile.ZIP_DEFLATED:
            _refuse_bomb(member, path)
            with archive.open(member) as file:
                # Not all that is there: a member may be larger than it says.
                return np.frombuffer(file.read(member.file_size), np.uint8)
        archive.open(member).close()  # validates the member's own header
    name_bytes, extra_bytes = struct.unpack("<HH", content[member.header_offset :][26:LOCAL_HEADER_BYTES].tobytes())
    start = member.header_offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    stored = content[start : start + member.file_size]
    if len(stored) != member.file_size or _crc(stored) != member.CRC:
        raise _unreadable(path, f"array {key!r} does not match its checksum")
    return stored


def _refuse_bomb(member: zipfile.ZipInfo, path: Path) -> None:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    expansion = member.file_size / max(1, member.compress_size)
    if member.file_size > memory_bytes or (member.file_size > SMALL_BYTES and expansion > LARGEST_EXPANSION):
        raise DatasetError(
            f"{path} must decompress to data that fits in memory; {member.filename} would grow {expansion:.0f} times, "
            f"to {member.file_size:,} bytes, as a zip bomb would: if it is data, save it with np.save"
        )


def _parse_npy(content: NDArray[np.uint8], path: Path, key: str) -> NDArray[Any]:
    """Return the array in the bytes of an `.npy` file, without a copy."""
    stream = io.BytesIO(content[:HEADER_BYTES].tobytes())
    try:
        version = npy_format.read_magic(stream)
        read_header = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(stream)
    except (*DAMAGE, MemoryError, RecursionError) as error:  # of Python's parser, which reads the header
        raise _unreadable(path, "no NumPy header is there; pickles are not read") from error
    if dtype.hasobject:
        raise DatasetError(
            f"{_array(path, key)} must hold numbers; it holds Python objects (pickled), which are not read: save "
            f"numbers; convert text labels, {NUMBERED}"
        )
    data = content[stream.tell() :]
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise _unreadable(path, f"shape {shape} of {dtype} does not fit the {len(data):,} bytes that follow the header")
    flat = np.frombuffer(data, dtype) if dtype.itemsize and len(data) else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C")


def _read_labels(config: ArrayConfig, path: Path, n_samples: int) -> Labels | None:
    source = path if config.labels_path is None else expanded(config.labels_path)
    if config.labels_path is None and not _is_npz(path):
        return None
    raw = read_array(source, config.labels_key)
    if raw is None:
        if config.labels_path is None and config.labels_key == ArrayConfig.model_fields["labels_key"].default:
            return None
        raise DatasetError(
            f"{source} must hold an array {config.labels_key!r}; it holds {_listed(_keys(source))}: set data.labels_key"
        )
    return as_labels(raw, _array(source, config.labels_key), n_samples)


def _image_shape(config: ArrayConfig, shape: Sequence[int], path: Path) -> tuple[int, ...] | None:
    """Return the image shape that is set, else that of a sample that is evidently an image, in grey or in colour."""
    evident, asked = evident_image_shape(shape), config.image_shape
    if evident is not None and len(evident) == 3 and asked is not None and len(asked) == 3 and asked != evident:
        raise DatasetError(
            f"image_shape must be {list(evident)}, the shape of the samples in {path}; "
            f"got {list(asked)}: correct image_shape or leave it out"
        )
    return asked or evident


def _swapped(config: ArrayConfig, raw: NDArray[Any], path: Path) -> str:
    """Return the question whether inputs and labels are swapped, if `raw` has the shape of labels; else nothing."""
    source = path if config.labels_path is None else expanded(config.labels_path)
    if raw.ndim != 1 or (source == path and not _is_npz(path)):
        return ""
    labels = read_array(source, config.labels_key)
    if labels is None or labels.ndim < 2:
        return ""
    settings = "inputs_key and labels_key" if source == path else "path and labels_path"
    return f"are {settings} swapped? {_array(source, config.labels_key)} has shape {labels.shape}"


def _array(path: Path, key: str) -> str:
    """Return the name of an array for errors: the file, and the key in an `.npz`."""
    return f"array {key!r} of {path}" if _is_npz(path) else str(path)


def _crc(content: NDArray[np.uint8]) -> int:
    value = 0
    for part in chunks(content):
        value = zlib.crc32(part.data, value)
    return value


def _keys(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _listed(keys: Sequence[str], at_most: int = 10) -> str:
    return (", ".join(keys[:at_most]) + (", ..." if len(keys) > at_most else "")) or "no array"


def _unreadable(path: Path, why: str) -> DatasetError:
    return DatasetError(f"{path} must be an .npy or .npz file as np.save or np.savez writes it; it is not: {why}")

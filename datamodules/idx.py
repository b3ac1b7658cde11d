"""Read IDX files, MNIST's format: unsigned bytes, gzipped or not, verified by a checksum of the decompressed bytes."""

import gzip
import hashlib
import io
import math
import struct
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DatasetError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08


def read_idx(path: Path, shape: tuple[int, ...], md5: str) -> NDArray[np.uint8]:
    """Return the array of an IDX file with this `shape` and MD5 (of the decompressed file, including its header).

    Never decompresses more than `shape` needs. Raises DatasetError, which names the file.
    """
    try:
        with _opened(path) as file:
            header = _read_header(file, path, shape)
            body = file.read(math.prod(shape))
            surplus = file.read(1)  # also makes gzip verify its checksum
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise _damaged(path, f"it cannot be read to its end ({error})") from error
    if len(body) != math.prod(shape) or surplus:
        got = "more" if surplus else f"only {len(body):,}"
        raise _damaged(path, f"{math.prod(shape):,} bytes must follow its header, got {got}")
    digest = hashlib.md5(header, usedforsecurity=False)
    digest.update(body)
    if digest.hexdigest() != md5:
        raise _damaged(path, f"its decompressed content must have the MD5 {md5}, not {digest.hexdigest()}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    # By content, not by name: some browsers and servers decompress a file but keep its extension.
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb")


def _read_header(file: BinaryIO, path: Path, shape: tuple[int, ...]) -> bytes:
    """Read two zero bytes, the type, the number of dimensions, and each dimension as a big-endian 32-bit number."""
    expected = struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)
    header = file.read(len(expected))
    if header[:4] != expected[:4]:
        raise _damaged(
            path, f"it must begin with the bytes {expected[:4].hex(' ')}, not {header[:4].hex(' ') or 'end'}"
        )
    if header != expected:
        raise _damaged(path, f"it must hold an array of {shape}; its header says {_dimensions(header[4:])}")
    return header


def _dimensions(raw: bytes) -> tuple[int, ...]:
    stream = io.BytesIO(raw)
    return tuple(int.from_bytes(part, "big") for part in iter(lambda: stream.read(4), b""))


def _damaged(path: Path, why: str) -> DatasetError:
    return DatasetError(f"{path} is damaged or is not the published IDX file: {why}: replace it by the published file")

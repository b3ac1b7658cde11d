"""Limits of a table: a small file that would fill the memory is refused before it does."""

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sweeps.datamodules.arrays import DatasetError

MAX_COLUMNS = 20_000
MAX_NAME = 1000
MAX_LINE_BYTES = 2**23
# Of the text in a cell: a category, and part of the name of a feature.
MAX_TEXT = 10_000
# Columns of zeros reach hundreds to one; a file that grows more, to more than this many bytes, is a bomb.
LARGEST_EXPANSION = 1000
SMALL_BYTES = 2**29
_NUMBER_BYTES = 8


def refuse_columns(path: Path, n_columns: int) -> None:
    """Raise DatasetError for more columns than are read in reasonable time."""
    if n_columns > MAX_COLUMNS:
        raise DatasetError(
            f"{path} must have at most {MAX_COLUMNS:,} columns, not {n_columns:,}: save the features as an .npy array"
        )


def refuse_lines(path: Path) -> None:
    """Raise DatasetError for a CSV file with a line of many megabytes, or too many columns in its first line."""
    with path.open("rb") as file:
        size = path.stat().st_size
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        for start in range(0, size - MAX_LINE_BYTES, MAX_LINE_BYTES):
            end = start + MAX_LINE_BYTES
            if content.find(b"\n", start, end) < 0 and content.find(b"\r", start, end) < 0:
                raise DatasetError(
                    f"{path} must have lines of at most {MAX_LINE_BYTES:,} bytes; one is longer: check its line ends"
                )
        refuse_columns(path, file.readline().count(b",") + 1)


def refuse_long_texts(path: Path, table: Any) -> None:
    """Raise DatasetError for a column name or a cell of text that is too long to be shown or to name a feature."""
    import pyarrow as pa
    from pyarrow import compute

    for name in table.column_names:
        if len(name) > MAX_NAME:
            raise DatasetError(
                f"{path} must have column names of at most {MAX_NAME:,} characters; {name[:40]!r}... has {len(name):,}"
            )
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            longest = compute.max(compute.binary_length(column)).as_py() or 0
            if longest > MAX_TEXT:
                raise DatasetError(
                    f"{path} must hold text of at most {MAX_TEXT:,} bytes in a cell; column {name!r} has {longest:,}: "
                    f"remove it"
                )


def table_within_limits(path: Path, schema: Any, batches: Iterable[Any]) -> Any:
    """Return the `pyarrow.Table` of record batches; DatasetError as soon as they outgrow the memory or the file."""
    import pyarrow as pa

    refuse_columns(path, len(schema.names))
    kept, n_bytes = [], 0
    for batch in batches:
        n_bytes += max(batch.nbytes, batch.num_rows * batch.num_columns * _NUMBER_BYTES)
        refuse_larger_than_memory(path, n_bytes)
        if n_bytes > max(SMALL_BYTES, LARGEST_EXPANSION * path.stat().st_size):
            raise DatasetError(
                f"{path} must not grow more than {LARGEST_EXPANSION:,} times when it is read, as a zip bomb would: if "
                f"it is data, save it as an .npy array"
            )
        kept.append(batch)
    return pa.Table.from_batches(kept, schema)


def refuse_larger_than_memory(path: Path, n_bytes: int) -> None:
    """Raise DatasetError for data of more bytes than the machine has."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if n_bytes > memory_bytes:
        raise DatasetError(
            f"{path} must fit in memory; it would take {n_bytes / 2**30:.1f} GiB of the {memory_bytes / 2**30:.1f} GiB "
            f"of this machine: use fewer rows or columns"
        )

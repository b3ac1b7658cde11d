"""Read a user's table from a `.csv`, `.parquet` or `.feather` file, validated throughout; no pickle is ever read."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.data_paths import check_is_file
from sweeps.datamodules.own_data_config import TABLE_SUFFIXES, expanded
from sweeps.datamodules.table_encoding import listed
from sweeps.datamodules.table_limits import (
    refuse_larger_than_memory,
    refuse_lines,
    refuse_long_texts,
    table_within_limits,
)

# What pandas reads as missing, and "?", as UCI's data sets write it.
MISSING_TEXTS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null", "?"),
)
# pyarrow reads a CSV file in blocks, and takes a column's type from the first: there must be one block, of 31 bits.
MAX_CSV_BYTES = 2**31 - 2
_BATCH_ROWS = 16_384
_IPC_MAGIC = b"ARROW1"
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def read_table(path: Path, text_columns: Collection[str] = ()) -> Any:
    """Return the table in a file as a `pyarrow.Table`, with missing cells as nulls. Raises DatasetError.

    The suffix names the format. In a CSV file, cells of MISSING_TEXTS are missing, and a column whose other cells are
    all numbers is numeric, unless `text_columns` names it.
    """
    path = expanded(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"{path} must be a table in a file that ends in {', '.join(TABLE_SUFFIXES)}: correct its path"
        )
    check_is_file(path, f"a table in a {path.suffix} file")
    refuse_larger_than_memory(path, path.stat().st_size)
    table = _read(path, reader, text_columns)
    refuse_long_texts(path, table)
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise DatasetError(f"{path} must name each column differently; {listed(repeated)} names several: rename them")
    if not table.num_rows or not table.num_columns:
        raise DatasetError(f"{path} must hold at least one row below its column names; it holds none")
    return table


def _read(path: Path, reader: Callable[[Path, Collection[str]], Any], text_columns: Collection[str]) -> Any:
    from pyarrow import ArrowException

    try:
        table = reader(path, text_columns)
        table.validate(full=True)
    except (ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DatasetError(
            f"{path} must be a {path.suffix.lower()} file; it cannot be read as one: {reason}: correct or replace it"
        ) from error
    return table


def _read_csv(path: Path, text_columns: Collection[str]) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    n_bytes = path.stat().st_size
    if n_bytes > MAX_CSV_BYTES:
        raise DatasetError(f"{path} must have less than 2 GiB as .csv, not {n_bytes / 2**30:.1f}: save it as .parquet")
    refuse_lines(path)
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(block_size=n_bytes + 1, use_threads=False),  # with threads, errors name no row
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            null_values=list(MISSING_TEXTS),
            strings_can_be_null=True,
            column_types={name: pa.string() for name in text_columns},
        ),
    )
    table = table.rename_columns([name.strip() for name in table.column_names])
    if table.num_columns == 1:
        _refuse_other_separator(path, table.column_names[0])
    columns = [_cleaned(path, name, table[name], name in text_columns) for name in _unique(table)]
    return pa.table(columns, names=table.column_names) if columns else table


def _unique(table: Any) -> list[str]:
    """Return the column names, none if a name is repeated: `read_table` refuses such a table."""
    names: list[str] = table.column_names
    return names if len(set(names)) == len(names) else []


def _cleaned(path: Path, name: str, column: Any, is_text: bool) -> Any:
    """Return a column without spaces around its cells; numeric if its cells are numbers and it need not be text."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_binary(column.type):
        raise DatasetError(f"{path} must be text in UTF-8; column {name!r} is not: save the file as UTF-8")
    if not pa.types.is_string(column.type):
        return column
    trimmed = compute.utf8_trim_whitespace(column)
    is_missing = compute.is_in(trimmed, value_set=pa.array(MISSING_TEXTS))
    trimmed = compute.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)
    if is_text or not compute.any(is_missing).as_py():
        return trimmed  # all that kept pyarrow from reading numbers would have been a missing cell with spaces
    try:
        return trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        return trimmed


def _refuse_other_separator(path: Path, name: str) -> None:
    for separator, words in _OTHER_SEPARATORS.items():
        if separator in name:
            raise DatasetError(
                f"{path} must separate its columns by commas; they seem separated by {words}: convert it"
            )


def _read_parquet(path: Path, _text_columns: Collection[str]) -> Any:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
        refuse_larger_than_memory(path, sum(group.total_byte_size for group in groups))
        return table_within_limits(path, file.schema_arrow, file.iter_batches(_BATCH_ROWS))


def _read_feather(path: Path, _text_columns: Collection[str]) -> Any:
    from pyarrow import feather, ipc

    if not _is_ipc(path):
        return feather.read_table(path)  # of the first version, which is not compressed
    with ipc.open_file(path) as file:
        batches = (file.get_batch(index) for index in range(file.num_record_batches))
        return table_within_limits(path, file.schema, batches)


def _is_ipc(path: Path) -> bool:
    """Return whether a file is of Feather's second version, which is Arrow's own format."""
    with path.open("rb") as file:
        return file.read(len(_IPC_MAGIC)) == _IPC_MAGIC


_READERS: Mapping[str, Callable[[Path, Collection[str]], Any]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
}

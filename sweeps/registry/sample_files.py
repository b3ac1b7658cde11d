"""Files of samples to score, and files of scores: arrays and tables."""

import os
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.array_files import array_names, read_array
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.own_data_config import TABLE_SUFFIXES, expanded
from sweeps.errors import InputError
from sweeps.registry.packaged_model import Array, PackagedModel
from sweeps.storage.atomic_write import replacing

_TARGETS = (".npz", ".npy", *TABLE_SUFFIXES)
_DEFAULT_KEY = "inputs"


def check_target(target: Path, source: Path) -> None:
    """Raise InputError unless scores can be written to `target` without replacing the samples."""
    if target.suffix not in _TARGETS:
        raise InputError(
            f"OUT must end in .npz (outputs by name), .npy (all columns), or {', '.join(TABLE_SUFFIXES)} (named "
            f"columns), not {target.name!r}"
        )
    source = expanded(source)
    try:
        if target.exists() and source.exists() and target.samefile(source):
            raise InputError(f"OUT must not be the file of the samples, {source}: choose another name")
        if target.exists() and not target.is_file():
            raise InputError(f"OUT must be a file, and {target} is a folder, a pipe or a device: choose another name")
        folder = next(folder for folder in target.absolute().parents if folder.exists())
    except OSError as error:
        raise _not_written(target, error) from error
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"OUT must be in a folder that you may write to, and {folder} is none: choose another name")


def read_samples(source: Path, model: PackagedModel, key: str | None) -> tuple[NDArray[Any], dict[str, int]]:
    """Return the samples in a file that `model` can score, (samples, features), memory-mapped if possible.

    Also return, by column of a table, how many rows have a category that training did not see: 0 in its features.

    `key` names the array of an .npz. Raises InputError if the file is missing, damaged or not of the model's features.
    """
    try:
        is_table = source.suffix.lower() in TABLE_SUFFIXES
        samples, unknown = _read_table(source, model) if is_table else (_read_array(source, key), {})
        samples = _fitting(samples, source, model)
        return (samples if model.table is None else model.table.fill(samples)), unknown
    except DatasetError as error:
        raise InputError(error.issues) from error


def write_outputs(target: Path, outputs: Mapping[str, Array], names: Sequence[str]) -> None:
    """Write outputs, (samples, columns) by name, atomically; `names` are those of all columns."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial, partial.open("wb") as file:
            _write(file, target.suffix, outputs, names)
    except OSError as error:
        raise _not_written(target, error) from error


def _write(file: IO[bytes], suffix: str, outputs: Mapping[str, Array], names: Sequence[str]) -> None:
    if suffix == ".npz":
        np.savez(file, **outputs)  # type: ignore[arg-type]  # the stub mistakes the arrays for `allow_pickle`
        return
    columns = np.concatenate(list(outputs.values()), axis=1)
    if suffix == ".npy":
        np.save(file, columns)
    else:
        _write_table(file, suffix, columns, names)


def _not_written(target: Path, error: OSError) -> InputError:
    return InputError(f"OUT {target} cannot be written: {error.strerror or error}: free space, or choose another name")


def _read_array(source: Path, key: str | None) -> NDArray[Any]:
    names = array_names(source)
    name = key or (names[0] if len(names) == 1 else _DEFAULT_KEY)
    raw = read_array(source, name)
    if raw is None:
        raise InputError(
            f"{source} must hold an array {name!r}; it holds {', '.join(names) or 'none'}: use --inputs-key"
        )
    if raw.dtype.kind not in "biuf":
        raise InputError(f"{source} must hold numbers, not {raw.dtype}: convert them")
    if raw.ndim < 2:
        raise InputError(f"{source} must hold an array with samples first, then their values, not of shape {raw.shape}")
    return raw.reshape(len(raw), prod(raw.shape[1:]))


def _fitting(samples: NDArray[Any], source: Path, model: PackagedModel) -> NDArray[Any]:
    if not len(samples) or samples.shape[1] != model.n_features:
        raise InputError(
            f"{source} must hold samples of the {model.n_features} values that the model was trained on, but holds "
            f"{len(samples)} samples of {samples.shape[1]}: score data of the same kind"
        )
    return samples


def _read_table(source: Path, model: PackagedModel) -> tuple[NDArray[Any], dict[str, int]]:
    """Return the features of a table: as the model's own encoding gives them, or all columns, which must be numbers."""
    from sweeps.datamodules.table_files import read_table

    if model.table is not None:
        table = read_table(source, model.table.text_columns)
        return model.table.encode(table), model.table.unknown_categories(table)
    table = read_table(source)
    if table.num_columns != model.n_features:
        raise InputError(
            f"{source} must have the {model.n_features} columns that the model was trained on, and has "
            f"{table.num_columns}: remove or add columns"
        )
    return np.column_stack([_numbers(source, name, table[name]) for name in table.column_names]), {}


def _numbers(source: Path, name: str, column: Any) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()
    if values.dtype.kind not in "biuf":
        raise InputError(f"{source} must hold numbers; column {name!r} holds {column.type}: remove or convert it")
    return values


def _write_table(file: IO[bytes], suffix: str, columns: Array, names: Sequence[str]) -> None:
    import pyarrow as pa
    from pyarrow import csv, feather, parquet

    write = {".csv": csv.write_csv, ".parquet": parquet.write_table, ".feather": feather.write_feather}[suffix]
    write(pa.table(list(columns.T), names=list(names)), file)

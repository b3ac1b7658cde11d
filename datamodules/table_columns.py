"""A column of a `pyarrow.Table` as numbers, as text, or as classes; errors name the column and the row."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DatasetError

Kind = Literal["numeric", "categorical"]
Numbers = NDArray[np.float64]

MISSING, UNKNOWN = -1, -2


def kind_of(name: str, column: Any) -> Kind:
    """Return how a column is encoded. Raises DatasetError if it is neither numbers nor text, or has no values."""
    from pyarrow import types

    if _decoded(column).null_count == len(column):
        raise DatasetError(f"column {name!r} must have a value in some row; it has none: add it to data.drop_columns")
    value_type = column.type.value_type if types.is_dictionary(column.type) else column.type
    if _is_text(value_type) or types.is_dictionary(column.type):
        return "categorical"
    if _is_number(value_type):
        return "numeric"
    raise DatasetError(
        f"column {name!r} must hold numbers or text; it holds {column.type}: convert it, or add it to data.drop_columns"
    )


def as_numbers(name: str, column: Any) -> Numbers:
    """Return a column in float64, (rows,), NaN where a value is missing. Raises DatasetError for text and infinity."""
    import pyarrow as pa

    decoded = _decoded(column)
    if not (_is_number(decoded.type) or _is_text(decoded.type) or pa.types.is_null(decoded.type)):
        raise DatasetError(f"column {name!r} must hold numbers; it holds {column.type}: convert it")
    if pa.types.is_boolean(decoded.type):
        decoded = decoded.cast(pa.int8())
    try:
        numbers: Numbers = decoded.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        row = next(row for row, value in enumerate(decoded) if not _is_numeral(value))
        raise DatasetError(f"column {name!r} must hold numbers; row {row + 1} has {decoded[row].as_py()!r}") from error
    _refuse_rows(np.isinf(numbers), numbers, f"column {name!r} must hold finite numbers")
    return numbers


def as_float32(name: str, numbers: Numbers) -> NDArray[np.float32]:
    """Return numbers in float32. Raises DatasetError if one is beyond its range."""
    with np.errstate(over="ignore"):
        rounded = numbers.astype(np.float32)
    largest = np.finfo(np.float32).max
    _refuse_rows(np.isinf(rounded), numbers, f"column {name!r} must hold numbers of at most {largest:.1e} (float32)")
    return rounded


def refuse_lossy(name: str, numbers: Numbers) -> None:
    """Raise DatasetError if float32 would lose what distinguishes the rows of a column: (rows,), NaN if missing."""
    present = numbers[~np.isnan(numbers)]
    largest = float(np.abs(present).max(initial=0.0))
    if 0 < largest < np.finfo(np.float32).tiny:
        raise DatasetError(
            f"column {name!r} must have a number of at least {np.finfo(np.float32).tiny:.1e} (float32); its largest is "
            f"{largest:.1e}: multiply it"
        )
    deviation = float(np.std(present / largest)) if largest else 0.0
    if deviation <= _FLOAT64_ROUNDING:
        return
    lost = float(np.sqrt(np.mean(np.square((present - present.astype(np.float32)) / largest))))
    if lost > _LARGEST_SHARE_LOST * deviation:
        raise DatasetError(
            f"column {name!r} must vary by more than float32's rounding; it has {present.min():.9g} to "
            f"{present.max():.9g}, of which too few digits would be left: subtract its minimum, or add it to "
            f"data.drop_columns"
        )


def as_texts(column: Any) -> Any:
    """Return a column as a `pyarrow.Array` of strings: (rows,), null where a value is missing."""
    import pyarrow as pa

    return _decoded(column).cast(pa.string())


def class_texts(name: str, column: Any) -> Any:
    """Return a column of labels as strings, as `as_texts`. Raises DatasetError for a type that names no classes."""
    import pyarrow as pa

    decoded = _decoded(column)
    if pa.types.is_floating(decoded.type):
        decoded = _whole(name, decoded)
    if not (_is_text(decoded.type) or pa.types.is_integer(decoded.type) or pa.types.is_boolean(decoded.type)):
        raise DatasetError(
            f"the label_column {name!r} must hold text or integers, one class a row; it holds {column.type}: convert it"
        )
    return as_texts(decoded)


def codes_of(texts: Any, categories: Sequence[str]) -> NDArray[np.int64]:
    """Return the position of each text in `categories`: (rows,), MISSING for null, UNKNOWN if it is not there."""
    import pyarrow as pa
    from pyarrow import compute

    found = compute.fill_null(compute.index_in(texts, value_set=pa.array(categories, pa.string())), UNKNOWN)
    codes: NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    codes[compute.is_null(texts).to_numpy(zero_copy_only=False)] = MISSING
    return codes


# A column that varies by less than this share of its largest value is constant, up to rounding in float64.
_FLOAT64_ROUNDING = 1e-13
_LARGEST_SHARE_LOST = 0.05


def _is_text(value_type: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(value_type) or types.is_large_string(value_type) or types.is_string_view(value_type))


def _is_number(value_type: Any) -> bool:
    from pyarrow import types

    kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return any(kind(value_type) for kind in kinds)


def _decoded(column: Any) -> Any:
    """Return a column as one `pyarrow.Array`, without a dictionary; NaN, which pandas writes for missing, as null."""
    import pyarrow as pa
    from pyarrow import compute

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = compute.if_else(compute.is_nan(array), pa.scalar(None, array.type), array)
    return array


def _whole(name: str, labels: Any) -> Any:
    """Return labels in floating point as integers: pandas writes integers so where a value is missing."""
    import pyarrow as pa

    try:
        return labels.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DatasetError(
            f"the label_column {name!r} must hold text or integers, one class a row; it has fractions: if it is no "
            f"class, leave out data.label_column and add it to data.drop_columns"
        ) from error


def _refuse_rows(refused: NDArray[np.bool_], numbers: Numbers, requirement: str) -> None:
    if refused.any():
        row = int(np.argmax(refused))
        others = int(refused.sum()) - 1
        raise DatasetError(
            f"{requirement}; row {row + 1} has {numbers[row]:g}{f', and {others} more' if others else ''}"
        )


def _is_numeral(text: Any) -> bool:
    import pyarrow as pa

    try:
        text.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True

"""Fit the encoding of a table: the kind of each column, the categories of text, and the classes of the labels."""

from collections import Counter
from difflib import get_close_matches
from typing import Any

from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.own_data_config import TableConfig
from sweeps.datamodules.table_columns import as_numbers, as_texts, class_texts, kind_of, refuse_lossy
from sweeps.datamodules.table_encoding import Column, TableEncoding, is_pandas_index, listed


def fit_encoding(table: Any, config: TableConfig) -> TableEncoding:
    """Fit the encoding of a `pyarrow.Table`, with the columns that `config` names.

    Categories are in sorted order. Classes are too: as numbers if the labels are integers, else as text. Raises
    DatasetError with all that is wrong with the columns.
    """
    names: list[str] = table.column_names
    _refuse_absent(names, config)
    issues: list[str] = []
    columns: list[Column] = []
    classes: tuple[str, ...] = ()
    for name in names:
        try:
            if name == config.label_column:
                classes = _classes(name, table[name])
            elif name not in config.drop_columns and not is_pandas_index(name):
                columns.append(_column(name, table[name], config))
        except DatasetError as error:
            issues.extend(error.issues)
    if not columns and not issues:
        issues.append(f"{config.path} must have columns besides the label_column and drop_columns; it has none")
    features = [name for column in columns for name in column.feature_names]
    repeated = [name for name, count in Counter(features).items() if count > 1]
    if repeated:
        issues.append(f"features must have different names; {listed(repeated)} would be two features: rename a column")
    if issues:
        raise DatasetError(*issues)
    return TableEncoding(tuple(columns), config.label_column, classes, config.drop_columns, config.missing)


def _refuse_absent(names: list[str], config: TableConfig) -> None:
    settings = {"label_column": (config.label_column,), "drop_columns": config.drop_columns}
    issues = [
        f"data.{setting} must name columns of {config.path}; it has no {listed(absent)}{_similar(absent[0], names)}"
        for setting, asked in settings.items()
        if (absent := [name for name in asked if name is not None and name not in names])
    ]
    if issues:
        raise DatasetError(*issues)


def _similar(name: str, names: list[str]) -> str:
    similar = get_close_matches(name, names, n=1)
    return f": did you mean {similar[0]!r}?" if similar else f", but {listed(names)}"


def _column(name: str, column: Any, config: TableConfig) -> Column:
    if not name:
        raise DatasetError(
            "each column must have a name, and one has none: add '' to data.drop_columns if it numbers the rows "
            "(pandas' to_csv writes such a column without index=False), else name it"
        )
    kind = kind_of(name, column)
    if kind == "numeric":
        refuse_lossy(name, as_numbers(name, column))
        return Column(name, kind)
    texts = as_texts(column).drop_null().unique().to_pylist()
    if len(texts) > config.max_categories:
        raise DatasetError(
            f"column {name!r} must have at most {config.max_categories} categories; it has {len(texts)}"
            f"{_non_numbers(texts)}: add it to data.drop_columns, or raise data.max_categories"
        )
    return Column(name, kind, tuple(sorted(texts)))


def _non_numbers(texts: list[str]) -> str:
    """Return a hint if most categories are numbers: then the others probably stand for missing values."""
    others = [text for text in texts if not _is_number(text)]
    if len(others) > len(texts) // 2:
        return ""
    if not others:
        return ", all of them numbers stored as text: convert them"
    return f", most of them numbers, but also {listed(others, 3)}: leave such cells empty if they stand for missing"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _classes(name: str, column: Any) -> tuple[str, ...]:
    texts = class_texts(name, column)
    if texts.null_count:
        row = texts.is_null().to_pylist().index(True)
        raise DatasetError(
            f"the label_column {name!r} must have a class in each row; {texts.null_count} rows have none, the first is "
            f"row {row + 1}: remove those rows, or leave out data.label_column and add it to data.drop_columns"
        )
    classes = texts.unique().to_pylist()
    if len(classes) == len(texts) > 1:
        raise DatasetError(
            f"the label_column {name!r} must have fewer classes than there are rows; each of the {len(texts)} rows has "
            f"its own: name another column"
        )
    try:
        return tuple(sorted(classes, key=lambda text: (int(text), text)))
    except ValueError:
        return tuple(sorted(classes))

"""Encode the rows of a table as numbers: which column gives which features, as fitted once and used ever after."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sweeps.datamodules.arrays import DatasetError, Labels
from sweeps.datamodules.own_data_config import Missing
from sweeps.datamodules.table_columns import (
    MISSING,
    UNKNOWN,
    Kind,
    as_float32,
    as_numbers,
    as_texts,
    class_texts,
    codes_of,
)

Features = NDArray[np.float32]
# What pandas names an index that it saves with a table; it is no feature.
_PANDAS_INDEX = "__index_level_"


@dataclass(frozen=True)
class Column:
    """A column of features: a numeric column is one feature, a categorical one a feature for each of its categories."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of its features: its own, or COLUMN=CATEGORY."""
        return (self.name,) if self.kind == "numeric" else tuple(f"{self.name}={value}" for value in self.categories)

    def encode(self, column: Any) -> Features:
        """Return its features, (rows, features), NaN where the value is missing; 0 in all for an unknown category."""
        if self.kind == "numeric":
            return as_float32(self.name, as_numbers(self.name, column))[:, None]
        codes = codes_of(as_texts(column), self.categories)
        one_hot: Features = (codes[:, None] == np.arange(len(self.categories))).astype(np.float32)
        one_hot[codes == MISSING] = np.nan
        return one_hot

    def n_unknown(self, column: Any) -> int:
        """Return how many rows have a category that was not there when the encoding was fitted."""
        if self.kind == "numeric":
            return 0
        return int(np.count_nonzero(codes_of(as_texts(column), self.categories) == UNKNOWN))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values: dict[str, Any] = {"name": self.name, "kind": self.kind}
        return values if self.kind == "numeric" else values | {"categories": list(self.categories)}


@dataclass(frozen=True)
class TableEncoding:
    """How a table becomes inputs (rows, features) and labels (rows,): plain values, which travel with a model.

    `columns` are those with features, in the order of the features; `classes` the names of the classes, by label.
    `means`, one per feature, are those of the training split if `missing` is mean, and else None.
    """

    columns: tuple[Column, ...]
    label_column: str | None = None
    classes: tuple[str, ...] = ()
    drop_columns: tuple[str, ...] = ()
    missing: Missing = "error"
    means: tuple[float, ...] | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that `read_table` must read as text, even if a file happens to have only numbers there."""
        return tuple(column.name for column in self.columns if column.kind == "categorical")

    def encode(self, table: Any) -> Features:
        """Return the features of a `pyarrow.Table`: (rows, features), NaN where a value is missing.

        The label column and dropped columns may be absent. A category that was not there when the encoding was fitted
        is 0 in all features of its column: see `unknown_categories`. Raises DatasetError for columns that are absent,
        additional or repeated, text in a numeric column, infinity, and numbers beyond float32.
        """
        self._check_columns(table)
        inputs = np.empty((table.num_rows, len(self.feature_names)), np.float32)
        first = 0
        for column in self.columns:
            end = first + len(column.feature_names)
            inputs[:, first:end] = column.encode(table[column.name])
            first = end
        return inputs

    def encode_labels(self, table: Any) -> Labels | None:
        """Return the labels of a table, (rows,), counting `classes` from 0; None if there is no label column.

        Raises DatasetError if the column is absent, has missing values, or classes that the encoding does not know.
        """
        if self.label_column is None:
            return None
        if self.label_column not in table.column_names:
            raise DatasetError(f"the table must have the label_column {self.label_column!r}; it has none of that name")
        column = table[self.label_column]
        codes = codes_of(class_texts(self.label_column, column), self.classes)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            raise DatasetError(
                f"the label_column {self.label_column!r} must name one of the {len(self.classes)} known classes in "
                f"each row; row {row + 1} has {column[row].as_py()!r}"
            )
        return codes

    def unknown_categories(self, table: Any) -> dict[str, int]:
        """Return how many rows have a category that the encoding does not know, for each column with any."""
        self._check_columns(table)
        counts = {column.name: column.n_unknown(table[column.name]) for column in self.columns}
        return {name: count for name, count in counts.items() if count}

    def fill(self, inputs: Features) -> Features:
        """Return inputs with missing values replaced by the training means, if `missing` is mean; else unchanged.

        A row without any value stays as it is: it would become the average sample, about which nothing is known.
        """
        if self.means is None or not (is_missing := np.isnan(inputs)).any():
            return inputs
        is_filled = is_missing & ~is_missing.all(axis=1, keepdims=True)
        return np.where(is_filled, np.asarray(self.means, np.float32), inputs)

    def with_means(self, means: Sequence[float]) -> "TableEncoding":
        """Return this encoding with the means of the training split, one per feature."""
        return replace(self, means=tuple(float(mean) for mean in means))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "label_column": self.label_column,
            "classes": list(self.classes),
            "drop_columns": list(self.drop_columns),
            "missing": self.missing,
            "means": None if self.means is None else list(self.means),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TableEncoding":
        """Return the encoding that `to_dict` returned. Raises DatasetError for anything else."""
        try:
            means = values["means"]
            return cls(
                columns=tuple(
                    Column(column["name"], column["kind"], tuple(column.get("categories", ())))
                    for column in values["columns"]
                ),
                label_column=values["label_column"],
                classes=tuple(values["classes"]),
                drop_columns=tuple(values["drop_columns"]),
                missing=cast(Missing, values["missing"]),
                means=None if means is None else tuple(map(float, means)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"a table's encoding must be as to_dict() makes it; it is not: {error!r}") from error

    def _check_columns(self, table: Any) -> None:
        names = list(table.column_names)
        counts = Counter(names)
        needed = [column.name for column in self.columns]
        known = {*needed, *self.drop_columns, self.label_column}
        wrong = {
            "lacks": [name for name in needed if name not in counts],
            "also has": [name for name in dict.fromkeys(names) if name not in known and not is_pandas_index(name)],
            "repeats": [name for name in needed if counts[name] > 1],
        }
        issues = [f"it {verb} {listed(columns)}" for verb, columns in wrong.items() if columns]
        if issues:
            raise DatasetError(
                f"the table must have the {len(needed)} feature columns of the training data; {'; '.join(issues)}"
            )


def is_pandas_index(name: str) -> bool:
    """Return whether a column is an index that pandas saved with a table."""
    return name.startswith(_PANDAS_INDEX)


def listed(names: Sequence[str], at_most: int = 8) -> str:
    """Return names, quoted, in one line: the first of many, and how many more there are."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(repr(name) for name in names[:at_most]) + more

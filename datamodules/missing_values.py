"""Missing values of a table: counts by column and by row, and their replacement by the training split's means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.datamodules.arrays import DatasetError, Inputs, chunks
from sweeps.datamodules.table_encoding import Features, TableEncoding, listed

# So many of the rows with the most missing values are named.
_N_ROWS = 10
_N_SHOWN = 8


@dataclass(frozen=True)
class MissingValues:
    """The missing cells of a table, in its columns of features: `n_missing` of `n_cells`, in `n_incomplete` rows.

    In `n_empty` rows all cells are missing. `by_column` has the columns with any, and `by_row` the rows with the most,
    counted from 1: each with its number of missing cells, the most first.
    """

    n_cells: int
    n_missing: int
    n_rows: int
    n_incomplete: int
    n_empty: int
    by_column: dict[str, int]
    by_row: dict[int, int]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which a run records of its data."""
        return {
            "n_cells": self.n_cells,
            "n_missing": self.n_missing,
            "n_rows": self.n_rows,
            "n_rows_with_missing": self.n_incomplete,
            "by_column": [{"column": name, "n_missing": count} for name, count in self.by_column.items()],
            "rows_with_most": [{"row": row, "n_missing": count} for row, count in self.by_row.items()],
        }

    def lines(self) -> tuple[str, ...]:
        """Return a report in three lines: the totals, the columns, and the rows with the most."""
        columns = [f"{name!r}: {count:,} ({count / self.n_rows:.1%})" for name, count in self.by_column.items()]
        rows = [f"row {row}: {count}" for row, count in self.by_row.items()]
        return (
            f"{self.n_missing:,} of {self.n_cells:,} values are missing, in {self.n_incomplete:,} of {self.n_rows:,} "
            f"rows and {len(self.by_column)} columns",
            f"by column, the most first: {_first(columns, len(columns))}",
            f"by row (counted from 1, without the header), the most first: {_first(rows, self.n_incomplete)}",
        )


def count_missing(inputs: Features, encoding: TableEncoding) -> MissingValues:
    """Count the missing cells in the features of a table: (rows, features), as `encoding` encoded them."""
    firsts = np.cumsum([0, *(len(column.feature_names) for column in encoding.columns)])[:-1]
    is_missing = np.isnan(inputs[:, firsts])  # (rows, columns)
    by_column, by_row = is_missing.sum(axis=0), is_missing.sum(axis=1)
    columns = np.argsort(-by_column, kind="stable")
    rows = np.argsort(-by_row, kind="stable")[:_N_ROWS]
    return MissingValues(
        n_cells=is_missing.size,
        n_missing=int(is_missing.sum()),
        n_rows=len(inputs),
        n_incomplete=int(np.count_nonzero(by_row)),
        n_empty=int(is_missing.all(axis=1).sum()),
        by_column={encoding.columns[index].name: int(by_column[index]) for index in columns if by_column[index]},
        by_row={int(row) + 1: int(by_row[row]) for row in rows if by_row[row]},
    )


def fitted_to(train: Inputs, encoding: TableEncoding) -> TableEncoding:
    """Return `encoding`; if it fills missing values, with the means of the training inputs (samples, features).

    Raises DatasetError if a feature has no value in any training sample.
    """
    if encoding.missing == "error":
        return encoding
    means = _means(train)
    empty = [name for name, mean in zip(encoding.feature_names, means, strict=True) if np.isnan(mean)]
    if empty:
        raise DatasetError(
            f"each feature must have a value in at least one of the {len(train)} training samples; {listed(empty)} "
            f"{'has' if len(empty) == 1 else 'have'} none: add the column to data.drop_columns, or raise data.n_train"
        )
    return encoding.with_means(means.tolist()) if encoding.missing == "mean" else encoding


def _means(inputs: Inputs) -> Any:
    """Return the mean of each feature over the samples that have it, in float64; NaN if none has."""
    total, count = np.zeros(inputs.shape[1]), np.zeros(inputs.shape[1])
    for rows in chunks(inputs):
        is_present = ~np.isnan(rows)
        total += np.where(is_present, rows, 0).sum(axis=0, dtype=np.float64)
        count += is_present.sum(axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _first(parts: Sequence[str], n_parts: int) -> str:
    """Return the first parts in one line, and how many of the `n_parts` are not shown."""
    shown = parts[:_N_SHOWN]
    return ", ".join(shown) + (f", and {n_parts - len(shown)} more" if n_parts > len(shown) else "")

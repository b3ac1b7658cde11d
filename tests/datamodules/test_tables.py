import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from sweeps.datamodules.arrays import DataArrays, DatasetError
from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import TableConfig
from sweeps.datamodules.missing_values import count_missing
from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.datamodules.table_fitting import fit_encoding

N = 60
RNG = np.random.default_rng(0)


def mixed_table(n_missing: int = 0) -> Any:
    """Return three numeric columns of very different scales, one of text, ids and labels; rows 2, 5, ... lack `b`."""
    big = RNG.normal(2e8, 1e8, N)
    is_missing = np.isin(np.arange(N), 1 + 3 * np.arange(n_missing))
    return pa.table(
        {
            "id": np.arange(N),
            "a": RNG.normal(0, 1e-13, N),
            "b": pa.array(big, mask=is_missing),
            "c": RNG.integers(0, 9, N),
            "town": pa.array(np.array(["Bonn", "Oslo", "Rome"])[np.arange(N) % 3], mask=np.arange(N) == n_missing),
            "class": np.array(["good", "bad"])[np.arange(N) % 2],
        }
    )


def load(path: Path, table: Any, **settings: Any) -> DataArrays:
    parquet.write_table(table, path)
    return load_arrays(TableConfig(path=path, label_column="class", drop_columns=("id",), **settings))


def test_a_complete_table_is_split_with_labels_and_recorded_with_its_columns(tmp_path: Path) -> None:
    table = mixed_table().set_column(4, "town", pa.array(["Rome"] * N))
    arrays = load(tmp_path / "t.parquet", table)
    assert (len(arrays.train), len(arrays.valid), len(arrays.test)) == (40, 8, 12)
    assert (arrays.n_features, arrays.n_classes, arrays.has_missing) == (4, 2, False)
    recorded = json.loads(json.dumps(arrays.describe()))
    assert [column["name"] for column in recorded["table"]["columns"]] == ["a", "b", "c", "town"]
    assert recorded["table"]["classes"] == ["bad", "good"]
    assert recorded["missing"]["n_missing"] == 0
    assert DataArrays.from_dict(arrays.without_test()).describe() == arrays.describe()


def test_missing_error_reports_by_column_and_row(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        load(tmp_path / "t.parquet", mixed_table(4))
    totals, columns, rows, advice = error.value.issues
    assert advice.startswith("set data.missing to mean")
    assert "5 of 240 values are missing, in 4 of 60 rows and 2 columns" in totals
    assert columns == "by column, the most first: 'b': 4 (6.7%), 'town': 1 (1.7%)"
    assert (
        rows == "by row (counted from 1, without the header), the most first: row 5: 2, row 2: 1, row 8: 1, row 11: 1"
    )


def test_missing_mean_fills_all_splits_with_the_means_of_the_training_split(tmp_path: Path) -> None:
    table = mixed_table(20)
    masked = load(tmp_path / "t.parquet", table, missing="mask")
    filled = load(tmp_path / "t.parquet", table, missing="mean")
    means = np.nanmean(masked.train.inputs.astype(np.float64), axis=0)
    for raw, full in [(masked.train, filled.train), (masked.valid, filled.valid), (masked.test, filled.test)]:
        expected = np.where(np.isnan(raw.inputs), means.astype(np.float32), raw.inputs)
        np.testing.assert_array_equal(full.inputs, expected)
    assert not filled.has_missing
    assert filled.table is not None
    np.testing.assert_allclose(TableEncoding.from_dict(filled.table).means or (), means, rtol=1e-15)
    assert filled.missing == masked.missing


def test_validation_samples_do_not_change_what_missing_training_values_become(tmp_path: Path) -> None:
    table = mixed_table(20)
    before = load(tmp_path / "t.parquet", table, missing="mean")
    masked = load(tmp_path / "t.parquet", table, missing="mask")
    outside = np.concatenate([masked.valid.inputs[:, 1], masked.test.inputs[:, 1]])
    values = table["b"].to_numpy().astype(np.float32)
    changed = np.where(np.isin(values, outside[~np.isnan(outside)]), 1e9, table["b"].to_numpy())
    after = load(tmp_path / "t.parquet", table.set_column(2, "b", pa.array(changed)), missing="mean")
    np.testing.assert_array_equal(before.train.inputs, after.train.inputs)
    assert not np.array_equal(before.valid.inputs, after.valid.inputs)


def test_missing_mask_keeps_nan_on_the_way_to_a_worker(tmp_path: Path) -> None:
    arrays = load(tmp_path / "t.parquet", mixed_table(20), missing="mask")
    worker = DataArrays.from_dict(arrays.without_test())
    assert worker.has_missing
    assert np.isnan(worker.train.inputs).any()
    np.testing.assert_array_equal(worker.train.inputs, arrays.train.inputs)
    low, high = arrays.value_range()
    assert low < 0 < 1e8 < high


def test_nan_is_refused_without_missing_mask(tmp_path: Path) -> None:
    arrays = load(tmp_path / "t.parquet", mixed_table(20), missing="mask")
    with pytest.raises(DatasetError, match="got NaN or infinity"):
        DataArrays.from_dict(arrays.without_test() | {"has_missing": False})


@pytest.mark.parametrize("missing", ["mean", "mask"])
def test_a_column_without_any_value_in_the_training_split_is_refused(missing: str, tmp_path: Path) -> None:
    values = [None] * N
    for row in np.flatnonzero(~np.isin(np.arange(N), _training_rows(tmp_path))):
        values[row] = 1.0
    with pytest.raises(DatasetError, match=r"'c' has none: add the column to data\.drop_columns"):
        load(tmp_path / "t.parquet", mixed_table(1).set_column(3, "c", pa.array(values)), missing=missing)


@pytest.mark.parametrize("missing", ["error", "mean", "mask"])
def test_rows_without_any_value_are_refused(missing: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,x,y\n" + "1,1,a\n" * 5 + "6,,\n" + "7,,\n")
    section = TableConfig(path=tmp_path / "t.csv", drop_columns=("id",), missing=missing)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="2 rows have none, the first is row 6: remove them"):
        load_arrays(section)


def test_the_checksum_covers_values_and_names(tmp_path: Path) -> None:
    table = mixed_table(3)
    path = tmp_path / "t.parquet"
    same = {load(path, table, missing="mask").checksum for _ in range(2)}
    renamed = table.rename_columns([name.replace("b", "B") for name in table.column_names])
    other = table.set_column(2, "b", pa.array(np.ones(N)))
    assert len(same | {load(path, changed, missing="mask").checksum for changed in (renamed, other)}) == 3


def test_the_checksum_of_complete_data_does_not_depend_on_what_missing_values_would_become(tmp_path: Path) -> None:
    table = mixed_table().set_column(4, "town", pa.array(["Rome"] * N))
    sums = {load(tmp_path / "t.parquet", table, missing=missing).checksum for missing in ("error", "mean", "mask")}
    assert len(sums) == 1


def test_csv_and_parquet_give_the_same_arrays(tmp_path: Path) -> None:
    table = mixed_table(5)
    expected = load(tmp_path / "t.parquet", table, missing="mask")
    csv.write_csv(table, tmp_path / "t.csv")
    section = TableConfig(path=tmp_path / "t.csv", label_column="class", drop_columns=("id",), missing="mask")
    assert load_arrays(section).checksum == expected.checksum


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=2, max_size=30))
def test_counts_of_missing_values_agree_with_numpy(cells: list[list[bool]]) -> None:
    is_missing = np.array([[False] * 3, *cells])  # (rows, columns), each column with a value
    values = np.where(is_missing, None, "x")
    table = pa.table({name: pa.array(list(values[:, index]), pa.string()) for index, name in enumerate("abc")})
    encoding = fit_encoding(table, TableConfig(path=Path("t.csv")))
    counts = count_missing(encoding.encode(table), encoding)
    assert counts.n_missing == is_missing.sum() == sum(counts.by_column.values())
    assert counts.n_incomplete == is_missing.any(axis=1).sum()
    assert counts.by_column == {n: c for n, c in zip("abc", is_missing.sum(axis=0), strict=True) if c}
    assert list(counts.by_column.values()) == sorted(counts.by_column.values(), reverse=True)
    assert all(is_missing[row - 1].sum() == count for row, count in counts.by_row.items())


def _training_rows(folder: Path) -> list[int]:
    table = mixed_table().append_column("row", pa.array(np.arange(N)))
    return [int(row) for row in load(folder / "rows.parquet", table, missing="mask").train.inputs[:, -1]]

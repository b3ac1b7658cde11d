import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, feather, parquet

from sweeps.datamodules import table_limits
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.table_files import read_table

TABLE = pa.table({"a": [1, None, 3], "b": ["x", "y", None], "c": [0.5, 1e-13, 3e8]})


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.fixture(params=[".csv", ".parquet", ".feather", ".CSV"])
def path(request: Any, tmp_path: Path) -> Path:
    target: Path = tmp_path / f"table{request.param}"
    {".csv": csv.write_csv, ".parquet": parquet.write_table, ".feather": feather.write_feather}[request.param.lower()](
        TABLE, str(target)
    )
    return target


def test_every_format_gives_the_same_table(path: Path) -> None:
    table = read_table(path)
    assert table.to_pydict() == TABLE.to_pydict()


def test_a_damaged_file_is_refused_in_one_line(path: Path) -> None:
    content = path.read_bytes()
    for damaged in (b"", b"\x00\x01", content[:9] + b"\xff\xff,\n" + content[20:] + b'"'):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError) as error:
            read_table(path)
        assert len(error.value.issues) == 1
        assert str(path) in str(error.value)


def test_a_table_without_rows_is_refused(path: Path) -> None:
    {".csv": csv.write_csv, ".parquet": parquet.write_table, ".feather": feather.write_feather}[path.suffix.lower()](
        TABLE.slice(0, 0), str(path)
    )
    with pytest.raises(DatasetError, match="at least one row"):
        read_table(path)


def test_a_file_larger_than_memory_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_limits.os, "sysconf", lambda _: 5)
    with pytest.raises(DatasetError, match="must fit in memory"):
        read_table(path)


@pytest.mark.parametrize("name", ["t.pkl", "t.txt", "t.csv", "folder.csv"])
def test_other_suffixes_missing_files_and_folders_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    if name == "t.pkl":
        written(tmp_path / name, pickle.dumps(TABLE))
    with pytest.raises(DatasetError, match=r"must be a table in a .*: correct its path"):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"Row #3: Expected 2 columns, got 1"),
        ("a,a\n1,2\n", "'a' names several"),
        ("a;b\n1;2\n", "must separate its columns by commas; they seem separated by semicolons"),
        ("a,b\n1,é\n".encode("latin-1"), "must be text in UTF-8; column 'b' is not"),
        ('a,b\n"1,2\n3,4\n', "cannot be read as one"),
    ],
)
def test_malformed_csv_is_refused(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_table(written(tmp_path / "t.csv", text))


def test_csv_types_are_those_of_all_rows_not_of_the_first_block(tmp_path: Path) -> None:
    rows = ["1,x"] * 400_000 + ["2.5,y"]
    table = read_table(written(tmp_path / "t.csv", "\n".join(["a,b", *rows])))
    assert table.schema.field("a").type == pa.float64()
    assert table["a"][-1].as_py() == 2.5


def test_spaces_around_cells_and_names_do_not_count(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", "a, b, c\n 1, x, ?\n ?, ?, 2.5\n"))
    assert table.to_pydict() == {"a": [1.0, None], "b": ["x", None], "c": [None, 2.5]}


def test_a_text_column_stays_text_though_it_holds_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "a,b\n01,01\n2,?\n")
    assert read_table(path, text_columns=["a", "b"]).to_pydict() == {"a": ["01", "2"], "b": ["01", None]}
    assert read_table(path)["a"].to_pylist() == [1, 2]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_survive_csv_exactly(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("x\n" + "\n".join(map(repr, values)))
    np.testing.assert_array_equal(read_table(path)["x"].cast(pa.float64()).to_numpy(), values)

"""Files made to fill the memory, to hang, or to break a parser are refused in one line."""

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from sweeps.datamodules.array_files import load_array
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.config import ArrayConfig, TableConfig
from sweeps.datamodules.label_arrays import label_advice
from sweeps.datamodules.splits import Source
from sweeps.datamodules.tables import load_table


def refused(path: Path) -> str:
    """The only line of the error that a file of the user's own data causes."""
    with pytest.raises(DatasetError) as error:
        loaded(path)
    (line,) = error.value.issues
    return line


def loaded(path: Path) -> Source:
    if path.suffix in (".npy", ".npz"):
        return load_array(ArrayConfig(name="array", path=path))
    return load_table(TableConfig(name="table", path=path))


def header(text: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet", ".feather"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "absent"])
def test_what_is_no_regular_file_is_refused_without_reading_it(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"data{suffix}"
    make = {"pipe": os.mkfifo, "device": lambda link: link.symlink_to("/dev/zero"), "folder": Path.mkdir}
    make.get(kind, lambda _: None)(path)
    found = {"folder": "is a folder", "absent": "there is no such file"}.get(kind, "is a pipe or a device")
    assert found in refused(path)


@pytest.mark.parametrize(
    "shape", ["(100000000000, 1000)", "(0, 10000000000000000000)", f"({'9' * 5000}, 1)", "(-1, -1)", f"({'1, ' * 100})"]
)
@pytest.mark.parametrize("kind", ["<f4", "|V0", "<U0"])
def test_a_header_that_claims_a_huge_shape_is_refused(tmp_path: Path, shape: str, kind: str) -> None:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"
    (tmp_path / "a.npy").write_bytes(header(text, b"1234"))
    assert "a.npy" in refused(tmp_path / "a.npy")


@pytest.mark.parametrize("text", ["-" * 9000 + "1", "(" * 9000, "[" * 9000, "{" * 9000, "not " * 2000 + "1"])
def test_a_header_that_overflows_the_parser_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.npy").write_bytes(header(text))
    assert "no NumPy header is there" in refused(tmp_path / "a.npy")


def test_a_compressed_member_that_is_larger_than_it_says_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", header("{", bytes(200_000_000)))
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 1000)
    path.write_bytes(content)
    tracemalloc.start()
    assert "CRC" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_member_that_claims_a_header_of_gigabytes_is_read_no_further_than_a_header(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    inputs = io.BytesIO()
    np.save(inputs, np.ones((10, 3), np.float32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", inputs.getvalue())
        archive.writestr("y.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1) + b" " * 100_000_000)
    tracemalloc.start()
    assert "data.labels_path" in label_advice(ArrayConfig(name="array", path=path))
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["c{}", "c", ""])
def test_a_table_of_a_million_columns_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "wide.csv"
    names = ",".join(name.format(number) for number in range(1_000_000))
    path.write_text(f"{names}\n{'1,' * 999_999}1\n")
    assert "must have at most 20,000 columns, not 1,000,000" in refused(path)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_a_wide_table_of_another_format_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"wide{suffix}"
    table = pa.table([pa.array([1.0])] * 20_001, names=[f"c{number}" for number in range(20_001)])
    (parquet.write_table if suffix == ".parquet" else feather.write_feather)(table, path)
    assert "must have at most 20,000 columns, not 20,001" in refused(path)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_a_small_file_that_fills_the_memory_is_refused_while_it_is_read(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"bomb{suffix}"
    if kind == "numbers":
        table = pa.table({"a": pa.array(np.zeros(70_000_000, np.int8))})
    else:
        codes = pa.array(np.zeros(120_000, np.int32))
        table = pa.table({"a": pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 5000])).cast(pa.string())})
    if suffix == ".parquet":
        parquet.write_table(table, path, compression="zstd")
    else:
        feather.write_feather(table, path, compression="zstd", chunksize=1_000_000 if kind == "numbers" else 16_384)
    assert path.stat().st_size < 600_000
    assert "must not grow more than 1,000 times" in refused(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"a,b\n{'x' * 20_000},1\ny,2\n", "text of at most 10,000 bytes in a cell; column 'a' has 20,000"),
        (f"a,b\n{'x' * 20_000_000},1\ny,2\n", "lines of at most 8,388,608 bytes"),
        (f"{'x' * 2000},b\n1,1\n2,3\n", "column names of at most 1,000 characters"),
    ],
)
def test_a_text_that_is_too_long_for_a_feature_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "long.csv").write_text(content)
    line = refused(tmp_path / "long.csv")
    assert words in line
    assert len(line) < 500


def test_a_damaged_zip_file_has_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    np.savez(path, inputs=np.ones((4, 2)), y=np.arange(4))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"PK\x01\x02", b"PK\x01\x03"))
    assert "data.labels_path" in label_advice(ArrayConfig(name="array", path=path))

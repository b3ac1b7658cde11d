"""A user's arrays and tables: whatever is in the file is read, or refused in lines."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from damage import edited, edits
from fuzzing import fuzzed, hold, hold_apart
from hypothesis import strategies as st
from pyarrow import csv, feather, parquet

from sweeps.datamodules.array_files import array_names, load_array
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.config import ArrayConfig, TableConfig
from sweeps.datamodules.label_arrays import label_advice
from sweeps.datamodules.splits import Source
from sweeps.datamodules.tables import load_table

TABLE = pa.table({"a": [1.0, 2.0, None], "b": ["x", "y", "x"], "c": [1, 2, 3], "d": [True, False, None]})


def saved(save: Any, *arguments: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arguments, **named)
    return file.getvalue()


ARRAYS = {"inputs": np.arange(24, dtype=np.float32).reshape(6, 4), "labels": np.arange(6) % 2}
WHOLE = {
    ".npy": saved(np.save, ARRAYS["inputs"]),
    ".npz": saved(np.savez, **ARRAYS),
    "compressed.npz": saved(np.savez_compressed, **ARRAYS),
    ".csv": saved(lambda file: csv.write_csv(TABLE, file)),
    ".parquet": saved(lambda file: parquet.write_table(TABLE, file)),
    "zstd.parquet": saved(lambda file: parquet.write_table(TABLE, file, compression="zstd", use_dictionary=False)),
    ".feather": saved(lambda file: feather.write_feather(TABLE, file, compression="zstd")),
    "plain.feather": saved(lambda file: feather.write_feather(TABLE, file, compression="uncompressed")),
}
suffixes = st.sampled_from(sorted(WHOLE))
parts = st.sampled_from(
    ["1", "0x10", "-1", "1e400", "9" * 5000, "x", "'<f4'", "'|O'", "()", "(1,)", "[", "(" * 500, "-" * 500]
)
cells = st.sampled_from(
    [b"1", b"", b"?", b"nan", b"inf", b"1e999", b"x", b'"', b'"a,b"', b"\0", b"\xff", b" ", b"9" * 400]
)
lines = st.lists(st.lists(cells, max_size=5).map(b",".join), max_size=8).map(b"\n".join)


def check(content: bytes, suffix: str) -> None:
    path = Path(f"data{suffix[suffix.index('.') :]}")
    path.write_bytes(content)

    def read() -> Source:
        if path.suffix in (".npy", ".npz"):
            config = ArrayConfig(name="array", path=path)
            array_names(path)
            label_advice(config)
            return load_array(config)
        return load_table(TableConfig(name="table", path=path, missing="mean"))

    result = hold(read)
    if isinstance(result, Source):
        assert result.samples.inputs.ndim == 2
    else:
        assert isinstance(result, DatasetError)


@fuzzed(suffixes, edits)
def test_a_damaged_file(suffix: str, changes: list[tuple[str, int, bytes]]) -> None:
    check(edited(WHOLE[suffix], changes), suffix)


@fuzzed(suffixes, st.binary(max_size=300))
def test_any_bytes(suffix: str, content: bytes) -> None:
    check(content, suffix)
    check(WHOLE[suffix][:8] + content, suffix)


@fuzzed(st.lists(parts, max_size=3), parts, parts, st.sampled_from([1, 2, 3]), st.binary(max_size=64))
def test_any_header_of_an_array(shape: list[str], descr: str, order: str, version: int, data: bytes) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': ({', '.join(shape)}), }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    content = b"\x93NUMPY" + bytes([version, 0]) + length + text + data
    check(content, ".npy")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", content)
        archive.writestr("labels.npy", content)
    check(file.getvalue(), ".npz")


@fuzzed(lines)
def test_any_lines_of_a_table(content: bytes) -> None:
    check(content, ".csv")
    check(b"a,b\n" + content, ".csv")


@pytest.mark.parametrize("name", ["wide.csv", "cell.csv", "bomb.npz", "labels.npz", "bomb.parquet"])
def test_a_file_that_was_made_to_fill_the_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "wide.csv":
        path.write_text(",".join(map(str, range(1_000_000))) + "\n" + "1," * 999_999 + "1\n")
    elif name == "cell.csv":
        path.write_bytes(b"a,b\n" + b"x" * 100_000_000 + b",1\n")
    elif name == "bomb.parquet":
        parquet.write_table(pa.table({"a": pa.array(np.zeros(80_000_000, np.int8))}), path, compression="zstd")
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("inputs.npy" if name == "bomb.npz" else "y.npy", "w", force_zip64=True) as member:
                member.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1))
                for _ in range(400):
                    member.write(bytes(1_000_000))
            if name == "labels.npz":
                archive.writestr("inputs.npy", WHOLE[".npy"])
    code = """
from pathlib import Path
from sweeps.datamodules.array_files import load_array
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.config import ArrayConfig, TableConfig
from sweeps.datamodules.label_arrays import label_advice
from sweeps.datamodules.tables import load_table
import pyarrow.csv, pyarrow.parquet, pyarrow.compute
start()
path = Path(sys.argv[1])
try:
    if path.suffix == ".npz":
        config = ArrayConfig(name="array", path=path)
        label_advice(config)
        load_array(config)
    else:
        load_table(TableConfig(name="table", path=path))
except DatasetError as error:
    print("refused:", error)
"""
    printed = hold_apart(code, path)
    assert printed.startswith("refused:") or name == "labels.npz"

"""Files of arrays: read, or one kind of error for whatever is wrong with them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.storage.array_file import ArrayFileError, read_arrays


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


class Content:
    """A file with this content."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_bytes(self, n_bytes: int | None = None) -> bytes:
        return self.content[:n_bytes]


def read(content: bytes) -> dict[str, Any]:
    return read_arrays(Content(content))  # type: ignore[arg-type]


WHOLE = npz(mean=np.arange(3.0), rank=np.asarray(2))


def test_arrays_are_read_by_name() -> None:
    arrays = read(WHOLE)
    assert arrays.keys() == {"mean", "rank"}
    np.testing.assert_array_equal(arrays["mean"], np.arange(3.0))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"abc", b"PK\x03\x04", npy(np.ones(2)), npz(codes=np.array([{"a": 1}], dtype=object)),
        npy(np.ones(2)).replace(b"(2,)", b"(-1,"),
        WHOLE.replace(b"(3,)", b"(9,)"), WHOLE.replace(b"'<f8'", b"'<q9'"),
    ],
)  # fmt: skip
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ArrayFileError, match="must be a file of arrays, and cannot be read as one"):
        read(content)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArrayFileError, match=r"best\.npz must be a file of arrays"):
        read_arrays(tmp_path / "best.npz")


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_raises_no_other_error(place: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= change
    for content in (bytes(changed), WHOLE[:place]):
        try:
            read(content)
        except ArrayFileError:
            continue

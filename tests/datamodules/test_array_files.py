import contextlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.datamodules.array_files import load_array
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.config import ArrayConfig
from sweeps.datamodules.splits import Source

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (10, 4, 3), dtype=np.uint8)
CLASSES = np.arange(10) % 3


def load(path: Path, **settings: Any) -> Source:
    return load_array(ArrayConfig(path=path, **settings))


def saved(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def zipped(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_npy_is_flattened_with_its_image_shape_and_scale(tmp_path: Path) -> None:
    source = load(saved(tmp_path / "faces.npy", PIXELS), scale=1 / 255)
    assert np.array_equal(source.samples.inputs, PIXELS.reshape(10, 12))
    assert (source.name, source.image_shape, source.scale) == ("faces.npy", (4, 3), 1 / 255)
    assert (source.samples.labels, source.n_classes) == (None, None)


def test_image_shape_can_be_set_for_flat_inputs(tmp_path: Path) -> None:
    path = saved(tmp_path / "flat.npy", PIXELS.reshape(10, 12))
    assert load(path).image_shape is None
    assert load(path, image_shape=(3, 4)).image_shape == (3, 4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 3, 1), (4, 3)),
        ((1, 4, 3), (4, 3)),
        ((4, 5, 3), (4, 5, 3)),
        ((3, 4, 5), (3, 4, 5)),
        ((4, 5, 6), None),
        ((4, 5, 3, 2), None),
        ((5, 1), None),
    ],
)
def test_image_shape_is_guessed_for_one_channel_and_for_three_first_or_last(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    assert load(saved(tmp_path / "a.npy", np.zeros((2, *shape), np.uint8))).image_shape == expected


def test_an_image_shape_with_the_channels_elsewhere_than_in_the_array_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", np.zeros((2, 3, 4, 5), np.uint8))
    with pytest.raises(DatasetError, match=r"image_shape must be \[3, 4, 5\], .* got \[4, 5, 3\]"):
        load(path, image_shape=(4, 5, 3))
    assert load(path, image_shape=(3, 4, 5)).image_shape == (3, 4, 5)
    assert load(path, image_shape=(12, 5)).image_shape == (12, 5)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_bytes_and_floats_are_memory_mapped(tmp_path: Path, dtype: str, ending: str) -> None:
    array = PIXELS.astype(dtype)
    path = saved(tmp_path / "a.npy", array) if ending == "npy" else zipped(tmp_path / "a.npz", inputs=array)
    inputs = load(path).samples.inputs
    owner: Any = inputs
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base if isinstance(owner.base, np.ndarray) else getattr(owner.base, "obj", None)
    assert isinstance(owner, np.memmap)
    assert np.array_equal(inputs, array.reshape(10, 12))


@pytest.mark.parametrize("dtype", ["?", "i2", "u4", "i8", "f2", "f8", ">f4", ">i4"])
def test_other_dtypes_become_bytes_or_single_precision(tmp_path: Path, dtype: str) -> None:
    array = RNG.integers(0, 2, (10, 5)).astype(dtype)
    inputs = load(saved(tmp_path / "a.npy", array)).samples.inputs
    assert inputs.dtype == (np.uint8 if dtype == "?" else np.float32)
    assert np.array_equal(inputs, array.astype(np.float64))


def test_fortran_order_is_read(tmp_path: Path) -> None:
    assert np.array_equal(
        load(saved(tmp_path / "a.npy", np.asfortranarray(PIXELS))).samples.inputs, PIXELS.reshape(10, 12)
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_inputs_and_labels_are_read_by_key(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", x=PIXELS, y=CLASSES.astype(np.uint8), inputs=np.zeros(3))
    source = load(tmp_path / "a.npz", inputs_key="x", labels_key="y")
    assert np.array_equal(source.samples.inputs, PIXELS.reshape(10, 12))
    assert source.samples.labels is not None
    assert source.samples.labels.tolist() == CLASSES.tolist()
    assert source.n_classes == 3


def test_labels_of_an_npz_are_optional(tmp_path: Path) -> None:
    assert load(zipped(tmp_path / "a.npz", inputs=PIXELS)).samples.labels is None


def test_labels_of_an_npy_come_from_a_second_file(tmp_path: Path) -> None:
    source = load(saved(tmp_path / "a.npy", PIXELS), labels_path=saved(tmp_path / "labels.npy", CLASSES))
    assert source.samples.labels is not None
    assert source.samples.labels.tolist() == CLASSES.tolist()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (CLASSES[:-1], "must be one number a sample, of shape (10,)"),
        (CLASSES[:, None], "has (10, 1)"),
        (CLASSES.astype(float), "integers that count classes from 0"),
        (CLASSES - 1, "has -1 to 1: renumber them"),
        (CLASSES + 10**12, "fewer than there are samples (10)"),
        (
            CLASSES + 8,
            "has labels up to 10, which makes 11 classes counted from 0, and 10 samples are too few: add",
        ),
        (np.array(list("abcabcabca")), "convert them, for instance with numpy.unique(y, return_inverse=True)[1]"),
        (np.array(list("abcabcabca"), object), "for instance with numpy.unique(y, return_inverse=True)[1]"),
    ],
)
def test_mismatched_labels_are_refused(tmp_path: Path, labels: Any, expected: str) -> None:
    refused(tmp_path, zipped(tmp_path / "a.npz", inputs=PIXELS, labels=labels), expected)
    path = zipped(tmp_path / "b.npz", x=PIXELS, y=labels)
    refused(tmp_path, path, f"array 'y' of {path}", inputs_key="x", labels_key="y")


def test_swapped_inputs_and_labels_are_asked_about(tmp_path: Path) -> None:
    swapped = {"inputs_key": "y", "labels_key": "x"}
    for labels in (CLASSES, CLASSES.astype(str)):
        path = zipped(tmp_path / "a.npz", x=PIXELS, y=labels)
        refused(tmp_path, path, f"array 'y' of {path} must hold", **swapped)
        asked = f"are inputs_key and labels_key swapped? array 'x' of {path} has shape (10, 4, 3)"
        refused(tmp_path, path, asked, **swapped)
    x, y = saved(tmp_path / "x.npy", PIXELS), saved(tmp_path / "y.npy", CLASSES)
    refused(tmp_path, y, f"are path and labels_path swapped? {x} has shape (10, 4, 3)", labels_path=x)


def test_inputs_of_one_dimension_are_reshaped_by_the_user(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", x=np.arange(10.0), y=CLASSES)
    expected = f"array 'x' of {path} must hold inputs of shape (samples, features...), and at least one; got (10,): if"
    refused(tmp_path, path, expected, inputs_key="x", labels_key="y")


def test_an_error_for_a_missing_key_lists_the_existing_keys(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", images=PIXELS, inputs=PIXELS)
    refused(tmp_path, path, "'pixels'; it holds images, inputs: set data.inputs_key", inputs_key="pixels")
    refused(tmp_path, path, "'classes'; it holds images, inputs: set data.labels_key", labels_key="classes")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, -np.inf]], np.float32), "finite"),
        (np.array([[1.0, 1e39]]), "that float32 can represent"),
        (np.array(["a", "b"]), "real numbers"),
        (np.zeros((2, 2), complex), "real numbers"),
        (np.zeros((2, 2), "datetime64[s]"), "real numbers"),
        (np.zeros(3, [("a", "f4"), ("b", "f4")]), "real numbers"),
        (np.zeros(5), "shape (samples, features...)"),
        (np.zeros(()), "shape (samples, features...)"),
        (np.zeros((0, 5)), "at least one"),
        (np.zeros((5, 0)), "at least one"),
        (np.array([{"a": 1}, None]), "Python objects (pickled), which are not read"),
    ],
)
def test_inputs_that_are_not_finite_numbers_are_refused(tmp_path: Path, array: Any, expected: str) -> None:
    refused(tmp_path, saved(tmp_path / "a.npy", array), expected)


class MaliciousPickle:
    """Write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickles_are_never_executed(tmp_path: Path) -> None:
    trap = MaliciousPickle(tmp_path / "sprung")
    objects = np.empty((2, 2), object)
    objects.fill(trap)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(trap))
    refused(tmp_path, tmp_path / "pickle.npy", "pickles are not read")
    refused(tmp_path, saved(tmp_path / "objects.npy", objects), "not read")
    refused(tmp_path, zipped(tmp_path / "objects.npz", inputs=objects), "not read")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, tmp_path / "absent.npy", "there is no such file: correct its path")
    refused(tmp_path, tmp_path, "is a folder")


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: raw[:20], lambda raw: raw[:0]]
)
def test_a_damaged_npy_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (tmp_path / "a.npy").write_bytes(damage(npy(PIXELS)))
    refused(tmp_path, tmp_path / "a.npy", "as np.save or np.savez writes it; it is not")


def test_a_header_that_claims_more_data_than_the_file_has_is_refused(tmp_path: Path) -> None:
    raw = npy(PIXELS).replace(b"(10, 4, 3), }", b"(2**40, 4), }").replace(b"(2**40, 4), }", b"(9**9, 43), }")
    (tmp_path / "a.npy").write_bytes(raw)
    refused(tmp_path, tmp_path / "a.npy", "it is not")
    (tmp_path / "b.npy").write_bytes(npy(PIXELS).replace(b"(10, 4, 3), }", b"(99999999,4)}"))
    refused(tmp_path, tmp_path / "b.npy", "does not fit the 120 bytes")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_in_an_npz_is_detected(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", inputs=PIXELS)
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[220] ^= 1
    (tmp_path / "a.npz").write_bytes(raw)
    refused(tmp_path, tmp_path / "a.npz", "it is not")


@pytest.mark.parametrize(
    "header", [b"{'descr': '|u1', ", b"(((", b"\xff\xfe", b"{'descr': 'f99999', 'fortran_order': 1, 'shape': ()}"]
)
def test_an_invalid_header_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    refused(tmp_path, tmp_path / "a.npy", "no NumPy header is there")


def test_an_array_with_unsupported_compression_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("inputs.npy", npy(PIXELS))
    refused(tmp_path, tmp_path / "a.npz", "compressed in a way that np.savez_compressed does not use")


def test_a_zip_bomb_is_refused_without_being_decompressed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", npy(np.zeros((100_000, 1000), np.uint8)))
    refused(tmp_path, tmp_path / "bomb.npz", "as a zip bomb would")


def test_a_zip_with_a_wrong_size_entry_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", inputs=np.zeros((1000, 1000), np.uint8))
    raw = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(raw.replace((1_000_128).to_bytes(4, "little"), (500).to_bytes(4, "little")))
    refused(tmp_path, tmp_path / "a.npz", "it is not")


@settings(max_examples=200, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["npy", "npz", "compressed"]))
def test_damaged_files_load_or_raise_a_dataset_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    stream = io.BytesIO()
    {"npy": np.save, "npz": np.savez, "compressed": np.savez_compressed}[kind](stream, PIXELS)
    raw = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with contextlib.suppress(DatasetError):
        load(path, inputs_key="arr_0")


def refused(tmp_path: Path, path: Path, expected: str, **settings: Any) -> None:
    """Loading `path` fails with a one-line error that names a file in `tmp_path` and contains `expected`."""
    with pytest.raises(DatasetError) as refusal:
        load(path, **settings)
    assert expected in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1

"""Values and tensors in a file: the same again, and nothing else is read."""

import json
import math
import os
import struct
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from sweeps.models import tensor_file
from sweeps.models.errors import ModelError

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


def tensor_of(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> Tensor:
    """A tensor with any bytes: NaN and subnormal numbers are among them."""
    n_bytes = math.prod(shape) * dtype.itemsize
    content = torch.randint(0, 256, (n_bytes,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return (content > 127).reshape(shape) if dtype is torch.bool else content.view(dtype).reshape(shape)


TENSORS = st.builds(tensor_of, st.sampled_from(DTYPES), SHAPES, st.integers(0, 99))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just("$tensor")
KEYS = st.text() | st.integers() | st.sampled_from(["$tensor", "$", "__values__", "__crc32__", "__metadata__", "a.b"])
VALUES = st.recursive(
    PLAIN | TENSORS,
    lambda parts: st.lists(parts) | st.lists(parts).map(tuple) | st.dictionaries(KEYS, parts),
    max_leaves=20,
)


def assert_same(value: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        assert isinstance(value, Tensor)
        assert (value.dtype, value.shape) == (expected.dtype, expected.shape)
        assert value.is_contiguous()
        as_bytes = [t.contiguous().reshape(-1).view(torch.uint8).tolist() for t in (value, expected)]
        assert as_bytes[0] == as_bytes[1]
        return
    assert type(value) is (dict if isinstance(expected, dict) else type(expected))
    if isinstance(expected, dict):
        assert [(type(key), key) for key in value] == [(type(key), key) for key in expected]
        value, expected = list(value.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(value) == len(expected)
        for part, other in zip(value, expected, strict=True):
            assert_same(part, other)
    elif isinstance(expected, float):
        assert struct.pack("d", value) == struct.pack("d", expected) or (math.isnan(value) and math.isnan(expected))
    else:
        assert value == expected


@given(VALUES)
@example({"state": {0: {"step": torch.tensor(3.0)}, 1: {}}, "betas": (0.9, 0.999), "lr": math.inf, "best": math.nan})
@example(OrderedDict({"weight": torch.ones(2, 3, dtype=torch.bfloat16)}))
@example({"$tensor": "weight", "weight": torch.ones(2)})
@example({"a.b": torch.ones(1), "a": {"b": torch.zeros(1)}, "": torch.ones(2)})
@example({"\ud800": torch.ones(1), "é": "\ud800"})
@example([-0.0, 10**400, True, 1, 1.0, b"", ()])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_values_are_the_same_after_a_file(values: Any) -> None:
    assert_same(tensor_file.loads(tensor_file.dumps(values)), values)


def test_the_file_can_be_read_by_any_reader_of_safetensors_under_the_paths_of_the_values() -> None:
    stored = load(tensor_file.dumps({"settings": {"epochs": 3}, "state_dict": {"encoder.weight": torch.ones(2, 3)}}))
    assert torch.equal(stored["state_dict.encoder.weight"], torch.ones(2, 3))
    assert json.loads(bytes(stored["__values__"].numpy()))["settings"] == {"epochs": 3}


def test_a_shared_tensor_is_stored_once_and_shared_again() -> None:
    weight = torch.rand(100, 100)
    values = {"first": weight, "again": weight.detach(), "parameter": torch.nn.Parameter(weight)}
    content = tensor_file.dumps(values)
    assert len(content) < 1.5 * weight.nbytes
    restored = tensor_file.loads(content)
    assert restored["first"] is restored["again"] is restored["parameter"]
    assert torch.equal(restored["first"], weight)


def test_tensors_that_overlap_or_have_gaps_are_stored_on_their_own() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    values = {"whole": whole, "transposed": whole.t(), "row": whole[1], "flat": whole.view(-1), "one": whole[0, 0]}
    values |= {"wide": torch.ones(1).expand(5), "bits": whole.view(torch.int32), "empty": whole[:0]}
    restored = tensor_file.loads(tensor_file.dumps(values))
    for name, tensor in values.items():
        assert torch.equal(restored[name], tensor), name
    restored["row"].fill_(-1)
    assert torch.equal(restored["whole"], whole)


@pytest.mark.parametrize(
    "value",
    [
        {1.5: 1}, {None: 1}, {("a",): 1}, {True: 1}, {1: 1, 1.5: 1}, {"a": {1, 2}}, [object()], 1j, bytearray(b"a"),
        torch.ones(2).to_sparse(), torch.ones(2, device="meta"),
    ],
)  # fmt: skip
def test_what_would_not_be_the_same_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError, match="must be"):
        tensor_file.dumps({"settings": value})


def refusal(content: bytes) -> str:
    with pytest.raises(ModelError) as refused:
        tensor_file.loads(content)
    (issue,) = refused.value.issues
    assert "\n" not in issue
    return issue


VALID = tensor_file.dumps({"weight": torch.arange(6.0), "epoch": 3, "betas": (0.9, 0.99), 1: b"abc"})


@given(st.integers(0, len(VALID) - 1), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_no_changed_byte_goes_unnoticed(place: int, change: int) -> None:
    changed = bytearray(VALID)
    changed[place] ^= change
    refusal(bytes(changed))


@pytest.mark.parametrize(("before", "after"), [(b'"F32"', b'"I32"'), (b"[2,3]", b"[3,2]"), (b'"a"', b'"b"')])
def test_the_checksum_covers_names_dtypes_and_shapes(before: bytes, after: bytes) -> None:
    content = tensor_file.dumps({"a": torch.ones(2, 3)})
    assert before in content
    assert "its content has changed" in refusal(content.replace(before, after))


@given(st.integers(0, len(VALID) - 1))
@settings(max_examples=50, deadline=None)
def test_a_truncated_file_is_refused(length: int) -> None:
    refusal(VALID[:length])


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: struct.pack("<Q", 8) + rest))
@settings(max_examples=100, deadline=None)
def test_other_bytes_are_refused(content: bytes) -> None:
    refusal(content)


def header(*tensors: tuple[str, str, list[int], list[int]]) -> bytes:
    described = {name: {"dtype": d, "shape": s, "data_offsets": offsets} for name, d, s, offsets in tensors}
    text = json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "issue"),
    [
        (b"", "it is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "another kind of file"),
        (struct.pack("<Q", 2**63) + b"{}", "another kind of file"),
        (header(("w", "F32", [10**12], [0, 4 * 10**12])), "truncated"),
        (header(("w", "F32", [2**31, 2**31, 2**31], [0, 4])) + bytes(4), "truncated"),
        (header(("w", "F32", [0, 2**62, 2**62], [0, 0])), "another kind"),
        (header(("w", "F4", [2], [0, 1])) + b"a", "another kind"),
        (save({"weight": torch.ones(2)}), "from elsewhere"),
        (save({"weight": torch.ones(2), "__crc32__": torch.ones(1)}), "from elsewhere"),
        (save({"__values__": torch.ones(2)}), "from elsewhere"),
    ],
)
def test_a_foreign_file_is_refused_with_its_reason(content: bytes, issue: str) -> None:
    assert issue in refusal(content)


def test_a_header_larger_than_any_of_ours_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser would take a gigabyte for 100 MB of names."""
    monkeypatch.setattr(tensor_file, "MAX_HEADER_BYTES", int.from_bytes(VALID[:8], "little"))
    assert tensor_file.loads(VALID)["epoch"] == 3
    monkeypatch.setattr(tensor_file, "MAX_HEADER_BYTES", int.from_bytes(VALID[:8], "little") - 1)
    assert "another kind" in refusal(VALID)


def forged(values: bytes | Tensor, **tensors: Tensor) -> bytes:
    """A file with a right checksum, by someone who knows the format."""
    text = values if isinstance(values, Tensor) else tensor_file._of_bytes(values)
    tensors |= {"__values__": text}
    return save(tensors | {"__crc32__": tensor_file._checksum(tensors)})


@pytest.mark.parametrize(
    "values",
    [
        b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000, b'{"$tensor": "other"}', b'{"$tensor": ["weight"]}',
        b'{"$bytes": 3}', b'{"$bytes": "half"}', b'{"$run": "ls"}', b'{"$tuple": {"a": 1}}', b'{"$tuple": "ab"}',
        b'{"$dict": [["a"]]}', b'{"$dict": {"ab": 1}}', b'{"$dict": [[null, 1]]}', b'{"$dict": [[[], 1]]}',
        b'{"$dict": [[1.5, 1]]}', b'{"$dict": [[true, 1]]}', b'{"$tensor": "weight", "more": 1}',
        b'{"more": 1, "$tensor": "weight"}', torch.tensor(1.5), torch.ones(2, 3),
    ],
)  # fmt: skip
def test_forged_values_are_refused(values: bytes | Tensor) -> None:
    assert "not those of a file of this package" in refusal(
        forged(values, weight=torch.ones(2), half=torch.ones(2, dtype=torch.bfloat16))
    )


def test_values_that_would_fill_the_memory_are_refused_before_they_are_parsed() -> None:
    for part in (b"[]", b"{}", b"1"):
        values = b"[" + b",".join([part] * (tensor_file.MAX_VALUES + 1)) + b"]"
        started = time.monotonic()
        assert "more than 10,000,000 values" in refusal(forged(values))
        assert time.monotonic() - started < 5


def test_bytes_that_many_values_name_are_in_memory_once() -> None:
    content = torch.zeros(2**20, dtype=torch.uint8)
    first, second = tensor_file.loads(forged(b'[{"$bytes": "a"}, {"$bytes": "a"}]', a=content))
    assert first == bytes(2**20)
    assert first is second  # a file of 10 MB could name them 400,000 times


def test_a_number_is_not_taken_for_the_length_of_bytes() -> None:
    assert "not those of a file of this package" in refusal(forged(b'{"$bytes": "a"}', a=torch.tensor(10**15)))


def test_the_limit_of_values_counts_lists_and_dicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_file, "MAX_VALUES", 3)
    for allowed, refused in ((b"[[[]]]", b"[[[[]]]]"), (b'{"a":{"a":{}}}', b'{"a":{"a":{"a":{}}}}')):
        tensor_file.loads(forged(allowed))
        assert "more than 3 values" in refusal(forged(refused))


def test_a_file_is_read_and_its_error_names_it(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(VALID)
    assert tensor_file.read(path, "a network")["epoch"] == 3
    path.write_bytes(VALID[:-1])
    with pytest.raises(
        ModelError, match=r"best\.safetensors must be a network saved by this package, .*: it is empty,"
    ):
        tensor_file.read(path, "a network")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_is_refused_and_not_waited_for(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "best.safetensors")
    with pytest.raises(ModelError, match="must be a network saved by this package, and is a folder, a pipe"):
        tensor_file.read(tmp_path / "best.safetensors", "a network")


def test_the_difference_between_tensors_is_named() -> None:
    expected = {"a": torch.ones(2), "b": torch.ones(2, 3)}
    assert tensor_file.difference(expected, expected) is None
    for tensors, issue in (
        ({"a": torch.ones(2)}, "b is missing"),
        (expected | {"c": torch.ones(1)}, "c is not part of it"),
        (expected | {"b": torch.ones(3, 2)}, "b is torch.float32 [3, 2], not torch.float32 [2, 3]"),
        (expected | {"a": torch.ones(2).double()}, "a is torch.float64 [2], not torch.float32 [2]"),
    ):
        assert tensor_file.difference(tensors, expected) == issue


def test_bytes_that_are_named_many_times_are_stored_once_in_memory() -> None:
    values = json.dumps([{"$bytes": "part"}] * 1000).encode()
    first, *others = tensor_file.loads(forged(values, part=torch.ones(100, dtype=torch.uint8)))
    assert first == b"\x01" * 100
    assert all(other is first for other in others)

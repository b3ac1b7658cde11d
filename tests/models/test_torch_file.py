"""Files of version 0.1, which are zip archives with a pickle: read as plain values and tensors, and no more."""

import io
import os
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.models import tensor_file, torch_file
from sweeps.models.errors import ModelError


class Call:
    """Makes whoever unpickles it call a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def saved(values: Any) -> bytes:
    content = io.BytesIO()
    torch.save(values, content)
    return content.getvalue()


def test_the_values_of_version_0_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = OrderedDict(weight=torch.arange(6.0).reshape(2, 3).t())
    path.write_bytes(saved({"state": {0: state}, "best": (1, None), "unwritten": b"\x00\xff", "lr": float("inf")}))
    values = tensor_file.read(path, "a checkpoint")
    assert torch.equal(values["state"][0]["weight"], state["weight"])
    assert (values["best"], values["unwritten"], values["lr"]) == ((1, None), b"\x00\xff", float("inf"))


@pytest.mark.parametrize("environment", [{}, {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}])
@pytest.mark.parametrize("run", [os.system, eval])
def test_nothing_in_a_pickle_runs(
    tmp_path: Path, run: Callable[..., Any], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    marker, path = tmp_path / "ran", tmp_path / "best.pt"
    command = f"touch {marker}" if run is os.system else f"open({str(marker)!r}, 'w')"
    path.write_bytes(saved({"state_dict": {"weight": torch.ones(2)}, "format": Call(run, command)}))
    with pytest.raises(ModelError, match=r"best\.pt must be a network saved .* more than plain values and tensors$"):
        tensor_file.read(path, "a network")
    assert not marker.exists()


@pytest.mark.parametrize(
    "attack",
    [
        Call(bytearray, 10**12),
        Call(torch.FloatTensor, 10**12),
        Call(torch.UntypedStorage, 10**12),
        Call(torch._utils._rebuild_meta_tensor_no_storage, torch.float32, (10**12,), (1,), False),  # type: ignore[no-untyped-call]
        Call(torch._tensor._rebuild_from_type_v2, torch.Tensor, torch.Tensor, (10**12,), {}),  # type: ignore[no-untyped-call]
    ],
    ids=["bytearray", "tensor", "storage", "rebuilt", "typed"],
)
def test_a_pickle_that_asks_for_memory_is_refused_before_it_is_read(
    attack: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ModelError, match="damaged, or holds more"):
        torch_file.loads(saved({"weight": attack}))


def test_a_bytearray_under_its_own_module_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.save` writes `__builtin__`; whoever writes the pickle by hand may name the module `builtins`."""
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    content = saved({"weight": Call(bytearray, 10**12)})
    for module in (b"c__builtin__\n", b"cbuiltins\n"):
        assert b"c__builtin__\n" in content
        with pytest.raises(ModelError, match="damaged, or holds more"):
            torch_file.loads(content.replace(b"c__builtin__\n", module))


@pytest.mark.parametrize("place", [lambda tensor: tensor, lambda tensor: [{1: (tensor,)}]])
def test_a_tensor_that_shows_one_value_many_times_is_refused(place: Callable[[torch.Tensor], Any]) -> None:
    """A network of that size would take terabytes."""
    repeated = torch.ones(1).expand(10**6, 10**6)
    with pytest.raises(ModelError, match="damaged, or holds more"):
        torch_file.loads(saved({"weight": place(repeated)}))
    whole = torch.arange(6.0).reshape(2, 3)
    values = {"whole": whole, "row": whole[1], "transposed": whole.t()}
    values["again"] = values  # type: ignore[assignment]
    assert torch.equal(torch_file.loads(saved(values))["row"], whole[1])


def test_a_compressed_archive_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 MB of zeros are 5 kB in it."""
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ModelError, match="damaged, or holds more"):
        torch_file.loads(packed(saved({"weight": torch.zeros(1_000_000)}), zipfile.ZIP_DEFLATED))
    asking = saved({"weight": Call(bytearray, 10**12)})
    for name in (None, "archive/data.pkl"):  # every part, and one
        hidden = packed(asking, zipfile.ZIP_DEFLATED, name) + bytes(10_000)
        assert b"c__builtin__" not in hidden
        with pytest.raises(ModelError, match="damaged, or holds more"):
            torch_file.loads(hidden)


def test_an_archive_whose_parts_overlap_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    content = saved({"weight": torch.zeros(1000)})
    directory = content.rindex(b"archive/data/0") - 46
    size = (4000).to_bytes(4, "little")
    assert content[directory + 24 : directory + 28] == size
    larger = content[: directory + 20] + (2**31).to_bytes(4, "little") * 2 + content[directory + 28 :]
    with pytest.raises(ModelError, match="damaged, or holds more"):
        torch_file.loads(larger)


def packed(content: bytes, compression: int, only: str | None = None) -> bytes:
    """An archive whose parts are compressed, or the part of one name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as stored, zipfile.ZipFile(archive, "w") as packing:
        for part in stored.infolist():
            kind = compression if only in (None, part.filename) else zipfile.ZIP_STORED
            packing.writestr(part.filename, stored.read(part.filename), kind)
    return archive.getvalue()


@pytest.mark.parametrize("n_bytes", [4, 10, 100, 500, -100, -1])
def test_a_truncated_file_of_version_0_1_is_refused(n_bytes: int) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError, match="damaged, or holds more"):
        torch_file.loads(saved({"weight": torch.ones(3)})[:n_bytes])
    assert time.monotonic() - started < 5

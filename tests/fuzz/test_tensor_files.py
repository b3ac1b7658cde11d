"""Networks, checkpoints and layers: whatever is in the file is read, or refused in lines, a right checksum or not."""

import io
import json
import math
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from damage import Change, changed, changes, edited, edits, plain_values
from fuzzing import fuzzed, hold
from hypothesis import strategies as st
from packages import CONFIGS, N_FEATURES, trained
from safetensors.torch import load, save
from torch import Tensor

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models import saved_network, tensor_file
from sweeps.models.build import load_network
from sweeps.models.errors import ModelError
from sweeps.storage.earlier_names import earlier_name
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import load_dataset
from sweeps.trial.events import PointEnded
from sweeps.trial.layer_cache import LayerStore, TrainedLayer
from sweeps.trial.pack import train_points
from sweeps.trial.point import PointTraining, prepare_point
from sweeps.trial.reports import Reports

NETWORKS = [saved_network.dumps(config, trained(config)) for config in CONFIGS]
LAYER = tensor_file.dumps({"parameters": {"weight": torch.ones(3, 2)}, "metrics": [{"pretrain/loss": 0.5}]})
DTYPES = [
    torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64,
    torch.float8_e4m3fn,
]  # fmt: skip
SHAPES = st.lists(st.sampled_from([0, 1, 2, 12]), max_size=3)
numbers = st.integers(0, 2**16)
# What stands in the values of a file for what JSON does not have.
marked = st.builds(
    lambda mark, body: {mark: body},
    st.sampled_from(["$tensor", "$bytes", "$tuple", "$dict", "$", "$run"]),
    st.sampled_from(["state_dict.encoder.weight", "extra", "__values__", [["a", 1]], [[1, {"$tensor": "extra"}]]])
    | plain_values,
)
sizes = st.sampled_from([1, 2, 100_000, 10**6, 10**9, 2**31, 2**63 - 1, 10**30])
networks = st.integers(0, len(NETWORKS) - 1)
tensor_changes = st.lists(
    st.tuples(st.sampled_from(["drop", "dtype", "shape", "add", "wide", "fill"]), numbers, SHAPES), max_size=3
)
pieces = st.sampled_from(
    [
        *(bytes([code]) for code in b"]}()tReubaN.\x85\x86\x87\x88\x89Q"),
        b"q\x01", b"h\x01", b"h\x02", b"K\x02", b"J\xff\xff\xff\x7f", b"\x8a\x05\x00\x00\x00\x00\x02", b"G" + bytes(8),
        b"X\x03\x00\x00\x00abc", b"cbuiltins\nbytearray\n", b"c__builtin__\nbytearray\n", b"cbuiltins\nset\n",
        b"ccollections\nOrderedDict\n", b"ccollections\nCounter\n", b"ctorch\nSize\n", b"ctorch\nFloatStorage\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n", b"c_codecs\nencode\n",
        b"ctorch\nTensor\n", b"ctorch.storage\nUntypedStorage\n", b"cos\nsystem\n", b"cbuiltins\neval\n",
        b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R", b"cbuiltins\ncomplex\n", b"ctorch\ndevice\n",
    ]
)  # fmt: skip
opcodes = st.lists(pieces, max_size=12).map(b"".join)


class Content:
    """A file with any content."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self._content

    def __str__(self) -> str:
        return "best.safetensors"


def parts_of(content: bytes) -> tuple[Any, dict[str, Tensor]]:
    """Return the values of a file as JSON, and its tensors by name."""
    tensors = load(content)
    del tensors["__crc32__"]
    return json.loads(bytes(tensors.pop("__values__").numpy())), tensors


def forged(values: Any, tensors: Mapping[str, Tensor]) -> bytes:
    """Return a file with a right checksum, by someone who knows the format."""
    whole = dict(tensors) | {"__values__": tensor_file._of_bytes(json.dumps(values).encode())}
    return save(whole | {"__crc32__": tensor_file._checksum(whole)})


def changed_tensors(tensors: Mapping[str, Tensor], steps: list[tuple[str, int, list[int]]]) -> dict[str, Tensor]:
    """Return other tensors: some dropped, added, of another type or shape, filled, or one value shown many times."""
    found = dict(tensors)
    for how, place, shape in steps:
        name = sorted(found)[place % len(found)] if found else "extra"
        tensor, dtype = found.get(name, torch.ones(2)), DTYPES[place % len(DTYPES)]
        if how == "drop":
            found.pop(name, None)
        elif how == "dtype":
            found[name] = tensor.to(dtype)
        elif how == "fill":
            found[name] = torch.full_like(tensor, math.nan if tensor.is_floating_point() else place % 2)
        elif how == "wide":
            found[name] = torch.ones(()).expand(tensor.shape)
        else:
            found["extra" if how == "add" else name] = torch.ones(shape).to(dtype)
    return found


def in_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def check_network(content: bytes) -> Any:
    result = hold(lambda: load_network(Content(content)))
    assert isinstance(result, torch.nn.Module | ModelError)
    return result


@fuzzed(networks, edits)
def test_a_damaged_network(which: int, damage: list[tuple[str, int, bytes]]) -> None:
    check_network(edited(NETWORKS[which], damage))


@fuzzed(st.binary(max_size=200), numbers)
def test_any_bytes(content: bytes, length: int) -> None:
    for start in (b"", struct.pack("<Q", length), struct.pack("<Q", len(content)), b"PK\x03\x04"):
        assert isinstance(check_network(start + content), ModelError)


@fuzzed(networks, changes(marked | plain_values | sizes), tensor_changes)
def test_a_forged_network(which: int, steps: list[Change], tensor_steps: list[tuple[str, int, list[int]]]) -> None:
    values, tensors = parts_of(NETWORKS[which])
    check_network(forged(changed(values, steps), in_memory(changed_tensors(tensors, tensor_steps))))


@fuzzed(networks, sizes, st.sampled_from(["input_size", "n_classes", "hidden_size", "hidden_sizes", "code_size"]))
def test_a_network_of_any_size(which: int, size: int, name: str) -> None:
    values, tensors = parts_of(NETWORKS[which])
    inside = values if name in values else values["model"]
    inside[name] = [size] if name == "hidden_sizes" else size
    check_network(forged(values, tensors))
    check_network(torch_file(values | {"state_dict": wide(tensors, N_FEATURES, min(size, 10**12))}))


def wide(tensors: Mapping[str, Tensor], old: int, new: int) -> dict[str, Tensor]:
    """Return tensors with another size, in which a single value stands for all."""
    shapes = {
        name.removeprefix("state_dict."): [new if size == old else size for size in tensor.shape]
        for name, tensor in tensors.items()
    }
    return {name: torch.ones(()).expand(shape) for name, shape in shapes.items() if math.prod(shape) < 2**60}


def torch_file(values: Any) -> bytes:
    """Return a file as version 0.1 wrote it."""
    content = io.BytesIO()
    torch.save(values, content)
    return content.getvalue()


def with_pickle(content: bytes, pickled: bytes) -> bytes:
    """Return a file of version 0.1 with another pickle."""
    archive = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(archive, "w") as after:
        for name in before.namelist():
            after.writestr(name, pickled if name.endswith("data.pkl") else before.read(name))
    return archive.getvalue()


def pickle_of(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


@fuzzed(networks, edits)
def test_a_damaged_network_of_version_0_1(which: int, damage: list[tuple[str, int, bytes]]) -> None:
    content = torch_file(tensor_file.loads(NETWORKS[which]))
    check_network(edited(content, damage))
    check_network(with_pickle(content, edited(pickle_of(content), damage)))


@fuzzed(networks, changes(plain_values | sizes), tensor_changes)
def test_a_forged_network_of_version_0_1(
    which: int, steps: list[Change], tensor_steps: list[tuple[str, int, list[int]]]
) -> None:
    values = tensor_file.loads(NETWORKS[which])
    state = changed_tensors(values.pop("state_dict"), tensor_steps)
    other = changed(values, steps)
    check_network(torch_file(other | {"state_dict": state} if isinstance(other, dict) else other))


@fuzzed(opcodes, plain_values)
def test_any_pickle(program: bytes, value: Any) -> None:
    content = torch_file({"weight": torch.ones(2)})
    for pickled in (b"\x80\x02" + program + b".", pickle_of(content)[:-1] + program + b".", pickle.dumps(value, 2)):
        assert isinstance(check_network(with_pickle(content, pickled)), ModelError)


@fuzzed(edits, changes(marked | plain_values), tensor_changes)
def test_a_damaged_or_forged_layer(
    damage: list[tuple[str, int, bytes]], steps: list[Change], tensor_steps: list[tuple[str, int, list[int]]]
) -> None:
    values, tensors = parts_of(LAYER)
    with TemporaryDirectory() as folder:
        store = LayerStore(Path(folder))
        for content in (
            edited(LAYER, damage),
            forged(changed(values, steps), in_memory(changed_tensors(tensors, tensor_steps))),
        ):
            (Path(folder) / "key.safetensors").write_bytes(content)
            result = hold(lambda: store.load("key"))
            assert result is None or isinstance(result, TrainedLayer)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> TrialContext:
    """The context of a point that is in the second of its two phases, with a checkpoint."""
    document = {
        "name": "small",
        "data": {"name": "digits"},
        "model": {"name": "stacked_denoising", "hidden_sizes": [4], "pretraining": {"epochs": 1}},
        "training": {"epochs": 2, "probe_samples": 0, "batch_size": 1024},
        "objective": {"metric": "valid/mse"},
    }
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPS_HOME", str(tmp_path_factory.mktemp("home")))
        sweep = SweepConfig.from_dict(document)
        dataset = load_dataset(sweep)
        folder = SweepFolder(tmp_path_factory.mktemp("sweep"))
        context = TrialContext(sweep, DataArrays.from_dict(dataset.arrays), dataset.references, folder)
        patch.setattr("sweeps.trial.recorder.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
        patch.setattr("sweeps.trial.reports.SECONDS_BETWEEN_REPORTS", -1.0)
        with pytest.raises(CutOffError):
            train_points({"0000": {}}, context, cut_off)
    return context


class CutOffError(BaseException):
    """Stands for the end of a process."""


def cut_off(epoch: int | None, *_: Any) -> None:
    if epoch == 2:
        raise CutOffError


@pytest.fixture(scope="module")
def checkpoint(context: TrialContext) -> bytes:
    return context.folder.point("0000").checkpoint.read_bytes()


def resume(context: TrialContext, content: bytes) -> Any:
    """Resume a point from a checkpoint, in a new sweep folder, without training."""
    with TemporaryDirectory() as name:
        at = TrialContext(context.sweep, context.arrays, context.references, SweepFolder(Path(name)))
        folder = at.folder.point("0000")
        folder.path.mkdir(parents=True)
        path = earlier_name(folder.checkpoint) if content.startswith(b"PK") else folder.checkpoint
        path.write_bytes(content)
        result = hold(lambda: prepare_point("0000", {}, at, Reports(lambda *_: None)))
        assert isinstance(result, PointTraining | ModelError)
        return result


@fuzzed(damage=edits)
def test_a_damaged_checkpoint(context: TrialContext, checkpoint: bytes, damage: list[tuple[str, int, bytes]]) -> None:
    resume(context, edited(checkpoint, damage))
    resume(context, edited(torch_file(tensor_file.loads(checkpoint)), damage))


@fuzzed(steps=changes(marked | plain_values | sizes), tensor_steps=tensor_changes)
def test_a_forged_checkpoint(
    context: TrialContext, checkpoint: bytes, steps: list[Change], tensor_steps: list[tuple[str, int, list[int]]]
) -> None:
    values, tensors = parts_of(checkpoint)
    # The other values are Lightning's.
    ours = dict(values, sweeps=changed(values["sweeps"], steps))
    resume(context, forged(ours, in_memory(changed_tensors(tensors, tensor_steps))))


@fuzzed(steps=changes(marked | plain_values))
def test_a_point_ends_whatever_its_checkpoint_holds(
    context: TrialContext, checkpoint: bytes, steps: list[Change]
) -> None:
    values, tensors = parts_of(checkpoint)
    ended = []
    with TemporaryDirectory() as name:
        at = TrialContext(context.sweep, context.arrays, context.references, SweepFolder(Path(name)))
        folder = at.folder.point("0000")
        folder.path.mkdir(parents=True)
        folder.checkpoint.write_bytes(forged(changed(values, steps), tensors))
        hold(lambda: train_points({"0000": {}}, at, lambda *report: ended.extend(report[2])))
    assert any(isinstance(event, PointEnded) for event in ended)

"""The network as torch exports it, for users without this project: written, checked against its grammar, loaded."""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sweeps.errors import InputError
from sweeps.models.errors import ModelError
from sweeps.models.torch_export import exported
from sweeps.registry.export_grammar import check_payloads, check_program

_ROOT = "model/"
_PROGRAM, _EXAMPLE = "models/model.json", "data/sample_inputs/model.pt"
_PAYLOADS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TENSOR = re.compile(r"data/(?:weights/weight|constants/tensor)_\d{1,6}")
# torch reads these as text.
_TEXTS = {
    "archive_format": rb"pt2",
    "archive_version": rb"\d{1,4}",
    ".data/version": rb"\d{1,4}\n?",
    "byteorder": rb"little|big",
    ".data/serialization_id": rb"\d{1,60}",
}
_N_EXAMPLES = 2


def export_network(network: nn.Module, examples: NDArray[np.float32], plugin: str | None = None) -> nn.Module:
    """Return a network as torch exports it, for batches of any size.

    Raises InputError if it is the one of a `plugin` that cannot be exported, ModelError for any other.
    """
    try:
        return exported(network, torch.from_numpy(examples))
    except ModelError as error:
        if plugin is None:
            raise
        raise InputError(
            f"the plug-in {plugin} must be exportable by torch.export, so that others can load the model without its "
            f"code, and is not: {error}. Write its forward with operators of torch, for batches of any size, and "
            "without branches on values"
        ) from error


def load_export(path: Path, n_features: int, *, is_plugin: bool = False) -> nn.Module:
    """Load an export of a network with `n_features` inputs; InputError unless it is of the form that we write.

    Even so, load only a file that this process has written, or one with the recorded SHA-256. There is no form for a
    network that `is_plugin`, which may use any operator: load only a file that this process has written.
    """
    content = path.read_bytes()
    if not is_plugin:
        check_export(content, n_features)
    return torch.export.load(io.BytesIO(content)).module()


def check_export(content: bytes, n_features: int) -> None:
    """Raise InputError unless the archive has only known records, no pickled code, and JSON of the known form."""
    records = _records(content)
    for name, record in records.items():
        text = _TEXTS.get(name)
        if text is not None and not re.fullmatch(text, record):
            raise _refusal(name)
        if text is None and name not in (_PROGRAM, _EXAMPLE, *_PAYLOADS) and not _TENSOR.fullmatch(name):
            raise _refusal(name)
    missing = {_PROGRAM, _EXAMPLE, *_PAYLOADS} - records.keys()
    if missing:
        raise _refusal(min(missing))
    check_program(records[_PROGRAM])
    for name in _PAYLOADS:
        check_payloads(records[name])
    if _pickle_of(records[_EXAMPLE]) != _pickle_of(_example(n_features)):
        raise _refusal(_EXAMPLE)


def _records(content: bytes) -> Mapping[str, bytes]:
    """Return the records of an archive by name; a name that stands twice is refused, as readers differ on it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            names = [entry.filename.removeprefix(_ROOT) for entry in entries]
            if len(set(names)) < len(names) or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise _refusal("its list of records")
            return {name: archive.read(entry) for name, entry in zip(names, entries, strict=True)}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise InputError(f"an exported network must be an archive of torch, and is not: {error}") from None


def _example(n_features: int) -> bytes:
    """Return the record of the examples that an export was traced with: two samples, pickled as tensors."""
    record = io.BytesIO()
    torch.save(((torch.zeros(_N_EXAMPLES, n_features),), {}), record)
    return record.getvalue()


def _pickle_of(record: bytes) -> bytes | None:
    """Return the pickle in a record of `torch.save`, without running it; None if it has none, or more than one."""
    try:
        with zipfile.ZipFile(io.BytesIO(record)) as archive:
            pickles = [name for name in archive.namelist() if name.endswith(".pkl")]
            return archive.read(pickles[0]) if len(pickles) == 1 else None
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        return None


def _refusal(record: str) -> InputError:
    return InputError(
        f"an exported network must have the records that this release writes, and differs in {record!r}: promote the "
        "trial again, and if it fails again, report this as a bug with the sweep file"
    )

"""A packaged model at work: its outputs by name, batch by batch."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import mlflow.pyfunc
import numpy as np
from numpy.typing import NDArray

from sweeps.errors import InputError
from sweeps.registry.alias_history import holding_model
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.names import check_names
from sweeps.registry.packaging import Columns, size_in_bytes

Array = NDArray[np.float32]
BATCH = 1024
_N_TIMED = 30
_PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


@dataclass(frozen=True)
class PackagedModel:
    """An MLflow model on this disk, loaded: raw samples in, columns out."""

    folder: Path
    predict: Callable[[Array], Array]
    columns: Columns
    n_features: int

    @classmethod
    def load(cls, folder: Path) -> "PackagedModel":
        """Load what `Package.save` wrote, without running pickled code; InputError for a model of other make."""
        with _nothing_unpickled():
            loaded = mlflow.pyfunc.load_model(str(folder))
        columns = (loaded.metadata.metadata or {}).get("columns")
        if columns is None:
            raise InputError(f"{folder} must be a model that `sweeps promote` has packaged; it names no columns")
        ordered = sorted(columns.items(), key=lambda column: column[1])
        ends = {name: (int(first), int(end)) for name, (first, end) in ordered}
        return cls(folder, loaded.predict, ends, int(loaded.metadata.signature.inputs.inputs[0].shape[1]))

    @property
    def size_bytes(self) -> int:
        """All its files together."""
        return size_in_bytes(self.folder)

    def outputs(self, samples: NDArray[Any]) -> dict[str, Array]:
        """The outputs by name, (samples, columns) each, of raw `samples` (samples, features) of any number type."""
        tensor = np.concatenate([self.predict(batch) for batch in _batches(samples)])
        return {name: tensor[:, first:end] for name, (first, end) in self.columns.items()}

    def latency_ms(self, sample: NDArray[Any]) -> float:
        """How long one sample takes, in milliseconds: the median of a few, after one to warm up."""
        one = np.asarray(sample, np.float32).reshape(1, -1)
        self.predict(one)
        return median(_timed(self.predict, one) for _ in range(_N_TIMED)) * 1000


def score(model: PackagedModel, source: Path, target: Path) -> dict[str, Any]:
    """Write the outputs for the samples of the file `source`: by name into an .npz, or all columns into an .npy.

    `source` is an .npy, samples first, then any shape, whole numbers or floats. Gives what was written; InputError
    where the files are not such.
    """
    _check_target(target)
    outputs = model.outputs(_samples(source, model.n_features))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".npz":
        np.savez(target, **outputs)  # type: ignore[arg-type]  # its stub takes `allow_pickle` for an array's name
    else:
        np.save(target, np.concatenate(list(outputs.values()), axis=1))
    shapes = {name: list(values.shape) for name, values in outputs.items()}
    return {"out": str(target), "samples": len(next(iter(outputs.values()))), "outputs": shapes}


def score_by_alias(store: RegistryStore, address: str, source: Path, target: Path) -> dict[str, Any]:
    """Score with the version that holds an alias now; `address` is NAME@ALIAS. Gives what `score` gives, and which."""
    name, _, alias = address.partition("@")
    if not alias:
        raise InputError(f"the model must be named as NAME@ALIAS, for instance {name}@champion, not {address!r}")
    check_names(name, alias)
    _check_target(target)
    version = holding_model(store, name, alias).aliases[alias]
    with tempfile.TemporaryDirectory(prefix="sweeps-score-") as folder:
        files = store.download(f"models:/{name}/{version}", Path(folder))
        told = score(PackagedModel.load(files), source, target)
    return told | {"model": name, "alias": alias, "version": version}


def _check_target(target: Path) -> None:
    """InputError unless scores can be written into a file of this name."""
    if target.suffix not in (".npz", ".npy"):
        raise InputError(f"OUT must end in .npz (outputs by name) or .npy (all columns), not {target.name!r}")


@contextmanager
def _nothing_unpickled() -> Iterator[None]:
    """Have MLflow refuse, whatever the environment says, to run pickled code that a model's file holds."""
    before = os.environ.get(_PICKLES)
    os.environ[_PICKLES] = "false"
    try:
        yield
    finally:
        del os.environ[_PICKLES]
        if before is not None:
            os.environ[_PICKLES] = before


def _samples(source: Path, n_features: int) -> NDArray[Any]:
    """The samples of a file, (samples, features), read as they are asked for."""
    try:
        array = np.load(source, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{source} must be an .npy of numbers, and cannot be read as one: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim < 2 or array.dtype.kind not in "biuf":
        raise InputError(f"{source} must hold one array of numbers, samples first: save it by numpy.save")
    samples: NDArray[Any] = array.reshape(len(array), prod(array.shape[1:]))
    if not len(samples) or samples.shape[1] != n_features:
        raise InputError(
            f"{source} must hold samples of the {n_features} values that the model was trained on; it has "
            f"{len(samples)} of {samples.shape[1]}"
        )
    return samples


def _batches(samples: NDArray[Any]) -> Iterator[Array]:
    for start in range(0, len(samples), BATCH):
        yield np.asarray(samples[start : start + BATCH], np.float32)


def _timed(predict: Callable[[Array], Array], sample: Array) -> float:
    started = perf_counter()
    predict(sample)
    return perf_counter() - started

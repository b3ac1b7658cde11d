"""Predict with a packaged model: its outputs by name, batch by batch."""

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
from sweeps.registry.alias_history import find_model_with_alias
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.names import check_names
from sweeps.registry.packaging import Columns, size_in_bytes

Array = NDArray[np.float32]
BATCH = 1024
_N_TIMED = 30
_PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


@dataclass(frozen=True)
class PackagedModel:
    """An MLflow model loaded from local disk: raw samples in, columns out."""

    folder: Path
    predict: Callable[[Array], Array]
    columns: Columns
    n_features: int

    @classmethod
    def load(cls, folder: Path) -> "PackagedModel":
        """Load a model that `Package.save` wrote, without running pickled code; InputError for any other model."""
        with _without_pickle():
            loaded = mlflow.pyfunc.load_model(str(folder))
        columns = (loaded.metadata.metadata or {}).get("columns")
        if columns is None:
            raise InputError(
                f"{folder} must be a model that `sweeps promote` has packaged; it names no columns: promote again"
            )
        ordered = sorted(columns.items(), key=lambda column: column[1])
        ends = {name: (int(first), int(end)) for name, (first, end) in ordered}
        return cls(folder, loaded.predict, ends, int(loaded.metadata.signature.inputs.inputs[0].shape[1]))

    @property
    def size_bytes(self) -> int:
        """The size of all its files together."""
        return size_in_bytes(self.folder)

    def outputs(self, samples: NDArray[Any]) -> dict[str, Array]:
        """Return the outputs, (samples, columns) by name, for raw `samples` (samples, features) of any numeric type."""
        tensor = np.concatenate([self.predict(batch) for batch in _batches(samples)])
        return {name: tensor[:, first:end] for name, (first, end) in self.columns.items()}

    def latency_ms(self, sample: NDArray[Any]) -> float:
        """Return the median time to predict one sample, in milliseconds, after a warm-up."""
        one = np.asarray(sample, np.float32).reshape(1, -1)
        self.predict(one)
        return median(_timed(self.predict, one) for _ in range(_N_TIMED)) * 1000


def score(model: PackagedModel, source: Path, target: Path) -> dict[str, Any]:
    """Write the outputs for the samples in `source` to `target`: by name to an .npz, or all columns to an .npy.

    `source` is an .npy of numbers, samples first, then any shape. Returns the file written and the shapes in it; raises
    InputError if either file is not as described.
    """
    _check_target(target)
    outputs = model.outputs(_samples(source, model.n_features))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".npz":
        np.savez(target, **outputs)  # type: ignore[arg-type]  # the stub mistakes the arrays for `allow_pickle`
    else:
        np.save(target, np.concatenate(list(outputs.values()), axis=1))
    shapes = {name: list(values.shape) for name, values in outputs.items()}
    return {"out": str(target), "samples": len(next(iter(outputs.values()))), "outputs": shapes}


def score_by_alias(store: RegistryStore, address: str, source: Path, target: Path) -> dict[str, Any]:
    """Score with the version at `address`, NAME@ALIAS. Returns the result of `score`, with the version."""
    name, _, alias = address.partition("@")
    if not alias:
        raise InputError(f"the model must be named as NAME@ALIAS, for instance {name}@champion, not {address!r}")
    check_names(name, alias)
    _check_target(target)
    version = find_model_with_alias(store, name, alias).aliases[alias]
    with tempfile.TemporaryDirectory(prefix="sweeps-score-") as folder:
        files = store.download(f"models:/{name}/{version}", Path(folder))
        scored = score(PackagedModel.load(files), source, target)
    return scored | {"model": name, "alias": alias, "version": version}


def _check_target(target: Path) -> None:
    """Raise InputError unless `target` has a suffix that scores can be written to."""
    if target.suffix not in (".npz", ".npy"):
        raise InputError(f"OUT must end in .npz (outputs by name) or .npy (all columns), not {target.name!r}")


@contextmanager
def _without_pickle() -> Iterator[None]:
    """Make MLflow refuse to run pickled code from a model's files, whatever the environment says."""
    before = os.environ.get(_PICKLES)
    os.environ[_PICKLES] = "false"
    try:
        yield
    finally:
        del os.environ[_PICKLES]
        if before is not None:
            os.environ[_PICKLES] = before


def _samples(source: Path, n_features: int) -> NDArray[Any]:
    """Memory-map the samples of a file, (samples, features)."""
    try:
        array = np.load(source, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{source} must be an .npy of numbers, but cannot be read as one: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim < 2 or array.dtype.kind not in "biuf":
        raise InputError(f"{source} must hold one array of numbers, samples first: write it with numpy.save")
    samples: NDArray[Any] = array.reshape(len(array), prod(array.shape[1:]))
    if not len(samples) or samples.shape[1] != n_features:
        raise InputError(
            f"{source} must hold samples of the {n_features} values that the model was trained on, but holds "
            f"{len(samples)} samples of {samples.shape[1]}: score data of the same kind"
        )
    return samples


def _batches(samples: NDArray[Any]) -> Iterator[Array]:
    for start in range(0, len(samples), BATCH):
        yield np.asarray(samples[start : start + BATCH], np.float32)


def _timed(predict: Callable[[Array], Array], sample: Array) -> float:
    started = perf_counter()
    predict(sample)
    return perf_counter() - started

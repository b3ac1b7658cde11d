"""A packaged model on local disk: raw samples in, outputs by name, without running any code of the model's."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from mlflow.models import Model
from numpy.typing import NDArray

from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.errors import InputError
from sweeps.registry.packaging import Columns, column_names, size_in_bytes

Array = NDArray[np.float32]
BATCH = 1024
_N_TIMED = 30
_PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


@dataclass(frozen=True)
class PackagedModel:
    """A model that `Package.save` wrote: raw samples (samples, features) in, columns out."""

    folder: Path
    predict: Callable[[Array], Array]
    columns: Columns
    n_features: int
    table: TableEncoding | None = None  # of a model that was trained on a table
    takes_missing: bool = False  # whether NaN in a sample is a missing value, which the model replaces

    @classmethod
    def load(cls, folder: Path) -> "PackagedModel":
        """Load the exported network of a packaged model; InputError for any other model.

        Runs neither pickled code nor the predictor that `mlflow.pyfunc` would run.
        """
        import mlflow.pytorch  # takes seconds

        described = Model.load(str(folder))
        facts = described.metadata or {}
        exported = described.flavors.get("pytorch")
        if "columns" not in facts or exported is None or exported.get("code"):
            raise InputError(f"{folder} must be a model that `sweeps promote` has packaged; it is not: promote again")
        with _without_pickle():
            network = mlflow.pytorch.load_model(str(folder))
        ordered = sorted(facts["columns"].items(), key=lambda column: column[1])
        ends = {name: (int(first), int(end)) for name, (first, end) in ordered}
        table = None if facts.get("table") is None else TableEncoding.from_dict(facts["table"])
        return cls(folder, _predictor(network), ends, _n_features(described), table, bool(facts.get("takes_missing")))

    @property
    def column_names(self) -> list[str]:
        """A name for each output column, as in the data frame that `mlflow.pyfunc` returns."""
        return column_names(self.columns, None if self.table is None else self.table.feature_names)

    @property
    def size_bytes(self) -> int:
        """The size of all its files together."""
        return size_in_bytes(self.folder)

    def outputs(self, samples: NDArray[Any]) -> dict[str, Array]:
        """Return the outputs, (samples, columns) by name, for raw `samples` (samples, features) of any numeric type."""
        tensor = np.concatenate([self.predict(batch) for batch in batches(samples)])
        return {name: tensor[:, first:end] for name, (first, end) in self.columns.items()}

    def latency_ms(self, sample: NDArray[Any]) -> float:
        """Return the median time to predict one sample, in milliseconds, after a warm-up."""
        one = np.asarray(sample, np.float32).reshape(1, -1)
        self.predict(one)
        return median(_timed(self.predict, one) for _ in range(_N_TIMED)) * 1000


def batches(samples: NDArray[Any]) -> Iterator[Array]:
    """Yield samples of any numeric type as float32, BATCH at a time; values beyond float32 become infinite."""
    for start in range(0, len(samples), BATCH):
        with np.errstate(over="ignore"):
            yield np.asarray(samples[start : start + BATCH], np.float32)


def _n_features(model: Model) -> int:
    """Return the values of a sample; models packaged by version 0.1 name them in their signature only."""
    n_features = (model.metadata or {}).get("n_features")
    return int(model.signature.inputs.inputs[0].shape[1] if n_features is None else n_features)


def _predictor(network: torch.nn.Module) -> Callable[[Array], Array]:
    def predict(samples: Array) -> Array:
        with torch.no_grad():
            outputs: Array = network(torch.tensor(samples)).numpy()
        return outputs

    return predict


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


def _timed(predict: Callable[[Array], Array], sample: Array) -> float:
    started = perf_counter()
    predict(sample)
    return perf_counter() - started

"""A packaged model on local disk: raw samples in, outputs by name, from tensors and settings alone.

Of a plug-in network, the code that is installed here is used, if `packaged_plugin` allows it. Nothing here asks MLflow
how to load the model: whatever its flavors, loaders and code files say, none of them is read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.errors import InputError
from sweeps.models.build import load_network
from sweeps.models.errors import ModelError
from sweeps.models.networks.network import Network
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.registry.export import load_export
from sweeps.registry.package_digest import package_digest
from sweeps.registry.package_settings import NETWORK, SETTINGS, PackageSettings, read_settings
from sweeps.registry.packaged_plugin import check_plugin
from sweeps.registry.packaging import EXPORT, Columns, Standalone, column_names, columns_of, size_in_bytes

Array = NDArray[np.float32]
BATCH = 1024
_N_TIMED = 30


@dataclass(frozen=True)
class PackagedModel:
    """A model that `Package.save` wrote: raw samples (samples, features) in, columns out.

    `digest` is the SHA-256 of its files when it was loaded, as `package_digest` returns it.
    """

    folder: Path
    digest: str
    predict: Callable[[Array], Array]
    columns: Columns
    n_features: int
    table: TableEncoding | None = None  # of a model that was trained on a table
    takes_missing: bool = False  # whether NaN in a sample is a missing value, which the model replaces
    is_plugin: bool = False

    @classmethod
    def load(
        cls, folder: Path, digest: str | None = None, *, is_known: bool = False, plugins: Sequence[str] = ()
    ) -> "PackagedModel":
        """Load a packaged model's network and settings, and no other file of it.

        `digest` is that of its files, if the caller has computed it. The code of a plug-in network is imported only if
        the files' digest `is_known` to be right, or if the plug-in is one of `plugins`.

        Raises OutdatedModel if it was packaged by an earlier release, InputError for any other model, for a folder
        with symbolic links, and for a plug-in that may not be imported or has changed.
        """
        digest = package_digest(folder) if digest is None else digest
        settings = read_settings(folder)
        if settings.plugin is not None:
            check_plugin(settings.plugin, is_known=is_known, named=plugins)
        try:
            network = load_network(folder / NETWORK, None if settings.plugin is None else settings.plugin.name)
        except (ModelError, OSError) as error:  # no file, or a folder of this name
            raise InputError(f"{NETWORK} must be the network of a packaged model: {error}; promote again") from None
        _check_fit(settings, network)
        predict = _predictor(Standalone(network, settings.scale).eval())
        columns = columns_of(network)
        return cls(
            folder,
            digest,
            predict,
            columns,
            settings.n_features,
            settings.encoding,
            settings.takes_missing,
            is_plugin=settings.plugin is not None,
        )

    def exported(self) -> "PackagedModel":
        """Return the same model computed by the network that torch exported, which is what users of MLflow load.

        Only for a model that this process has packaged. Raises InputError if the export is not of the form that
        `Package.save` writes; that of a plug-in has none.
        """
        network = load_export(self.folder / EXPORT, self.n_features, is_plugin=self.is_plugin)
        return replace(self, predict=_predictor(network))

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


def _check_fit(settings: PackageSettings, network: Network) -> None:
    """Raise InputError unless the settings describe this network."""
    is_plugin = isinstance(network, PluginNetwork)
    described = (settings.n_features, settings.columns, settings.takes_missing, settings.plugin is not None)
    actual = (network.input_size, columns_of(network), network.preprocessing.fills_missing, is_plugin)
    if described != actual:
        raise InputError(
            f"{SETTINGS} must describe the network beside it, and differs in n_features, columns, takes_missing or "
            "plugin: promote the trial again"
        )


def _predictor(network: torch.nn.Module) -> Callable[[Array], Array]:
    def predict(samples: Array) -> Array:
        with torch.no_grad():
            outputs: Array = network(torch.tensor(samples)).numpy()
        return outputs

    return predict


def _timed(predict: Callable[[Array], Array], sample: Array) -> float:
    started = perf_counter()
    predict(sample)
    return perf_counter() - started

"""A network as a standalone MLflow model: raw samples in, named columns out.

The folder `autoencoder` holds the network as tensors and settings, and is all that `PackagedModel` opens. For users
without this project, the model also has two flavors: `pytorch` is the network as torch exports it, `python_function`
runs the model's copy of `registry/predictor.py`, and takes data frames and arrays of any numeric type.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from numpy.typing import NDArray
from torch import Tensor, nn

from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.models.build import save_network
from sweeps.models.config import ModelConfig
from sweeps.models.networks.network import Activations, Network
from sweeps.registry.export import export_network
from sweeps.registry.package_settings import FORMAT, NETWORK, SETTINGS, PluginSettings
from sweeps.registry.packaged_plugin import plugin_of

RECONSTRUCTION, CODE, ERROR, CLASSES = "reconstruction", "code", "reconstruction_error", "class_probabilities"
# What a packaged model needs where it runs; this project is not needed.
_REQUIREMENTS = ("mlflow", "torch", "numpy")
_FLOAT32 = np.dtype(np.float32)
_PREDICTOR, _LAYOUT = "predictor.py", "layout.json"
EXPORT = Path("data/model.pt2")
# With a single example, torch.export would fix the batch size at 1.
_N_EXAMPLES = 2

_SINGULAR = {CLASSES: "class_probability"}

Columns = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Package:
    """A network, the section it was built from, the `scale` that raw samples are multiplied by, and `examples` of them.

    `examples` are (samples, features). `table` is the encoding of the table that it was trained on, if it was one.
    """

    network: Network
    model: ModelConfig
    scale: float
    examples: NDArray[Any]
    table: TableEncoding | None = None

    @property
    def columns(self) -> Columns:
        """The columns of each output in the one output tensor, by name: the first, and the one after the last.

        MLflow's pyfunc takes a single tensor from a PyTorch model, so the names are kept in the model's metadata.
        """
        return columns_of(self.network)

    @cached_property
    def plugin(self) -> PluginSettings | None:
        """The plug-in that the network is built by; None for a network of this package."""
        return plugin_of(self.model)

    @cached_property
    def exported(self) -> nn.Module:
        """The network as torch exports it, for batches of any size. Raises InputError if a plug-in has no export."""
        name = None if self.plugin is None else self.plugin.name
        return export_network(Standalone(self.network, self.scale), self._some_examples, name)

    @property
    def _some_examples(self) -> NDArray[np.float32]:
        return np.asarray(self.examples[np.arange(_N_EXAMPLES) % len(self.examples)], np.float32)

    def save(self, folder: Path, model: Model | None = None) -> None:
        """Write the MLflow model to `folder`, which must not exist; `model` carries its MLflow ids, if it has any."""
        import mlflow.pytorch  # takes seconds

        # For the export alone; `_add_predictor` replaces it.
        signature = ModelSignature(inputs=Schema([TensorSpec(_FLOAT32, (-1, self.network.input_size))]))
        mlflow.pytorch.save_model(
            self.exported,
            str(folder),
            mlflow_model=model,
            signature=signature,
            input_example=self._some_examples,
            pip_requirements=pinned_requirements(),
            metadata=self._facts(),
            serialization_format="pt2",
        )
        _add_predictor(folder, self._layout())
        (folder / NETWORK).parent.mkdir()
        save_network(folder / NETWORK, self.model, self.network)
        (folder / SETTINGS).write_text(json.dumps({"format": FORMAT} | self._facts()))

    def _facts(self) -> dict[str, Any]:
        """Return what `PackageSettings` reads, and the metadata of the MLflow model."""
        facts = {
            "columns": {name: list(ends) for name, ends in self.columns.items()},
            "n_features": self.network.input_size,
            "scale": self.scale,
            "table": None if self.table is None else self.table.to_dict(),
            "takes_missing": self.network.preprocessing.fills_missing,
        }
        # Not as None: earlier releases read the settings of networks that they know, without this key.
        return facts if self.plugin is None else facts | {"plugin": self.plugin.model_dump()}

    def _layout(self) -> dict[str, Any]:
        """Return what the predictor must know: the names of its outputs, and how it encodes a table."""
        names = column_names(self.columns, None if self.table is None else self.table.feature_names)
        return {key: self._facts()[key] for key in ("n_features", "table")} | {"outputs": names}


class Standalone(nn.Module):
    """Raw samples (batch, features) -> (batch, columns), with the data set's scaling inside.

    The reconstruction is in raw units. Its error is that of `valid/mse`, averaged over the features: the squared error
    of the scaled values, or of standardised ones if the network standardises features. Missing values do not count; the
    error of a sample without any present value is NaN.
    """

    def __init__(self, network: Network, scale: float) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, features) -> (batch, columns)."""
        scaled = samples * self.scale
        activations = self.network(scaled)
        outputs = [activations.reconstruction / self.scale, activations.code, sample_errors(activations, scaled)]
        if activations.class_logits is not None:
            outputs.append(activations.class_logits.softmax(dim=1))
        return torch.cat(outputs, dim=1)


def columns_of(network: Network) -> Columns:
    """Return the columns of each output of `Standalone`, by name: the first, and the one after the last."""
    sizes = {RECONSTRUCTION: network.input_size, CODE: network.code_size, ERROR: 1}
    if network.n_classes is not None:
        sizes[CLASSES] = network.n_classes
    ends = np.cumsum(list(sizes.values())).tolist()
    return {name: (end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def sample_errors(activations: Activations, scaled: Tensor) -> Tensor:
    """Return the mean squared error of each sample, (batch, 1), over the values of `scaled` that are present."""
    squared, present = activations.error(scaled).square(), activations.present(scaled)
    if present is None:
        return squared.mean(dim=1, keepdim=True)
    return squared.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)


def column_names(columns: Columns, features: Sequence[str] | None = None) -> list[str]:
    """Return a name for each output column: `reconstruction_FEATURE`, `code_0`, ..., `reconstruction_error`.

    Features without names are numbered from 0.
    """
    ordered = sorted(columns.items(), key=lambda column: column[1])
    return [name for output, (first, end) in ordered for name in _names(output, end - first, features)]


def pinned_requirements() -> list[str]:
    """Return the requirements of a packaged model, at the installed versions, without torch's local build tag."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


def size_in_bytes(folder: Path) -> int:
    """Return the size of all files of a packaged model together."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _names(output: str, n_columns: int, features: Sequence[str] | None) -> list[str]:
    if output == ERROR:
        return [ERROR]
    if output == RECONSTRUCTION and features is not None:
        return [f"{output}_{feature}" for feature in features]
    return [f"{_SINGULAR.get(output, output)}_{number}" for number in range(n_columns)]


def _add_predictor(folder: Path, layout: dict[str, Any]) -> None:
    """Make `mlflow.pyfunc` run the predictor, on the CPU, where the exported weights are.

    The signature names the outputs only: MLflow would reject float64, or whole numbers, for the inputs of any other.
    """
    import mlflow.pyfunc

    shutil.copyfile(Path(__file__).with_name(_PREDICTOR), folder / _PREDICTOR)
    (folder / _LAYOUT).write_text(json.dumps(layout))
    model = Model.load(str(folder))
    env = model.flavors["python_function"]["env"]
    mlflow.pyfunc.add_to_model(
        model,
        "mlflow.pyfunc.model",
        conda_env=env["conda"],
        python_env=env["virtualenv"],
        model_code_path=_PREDICTOR,
        artifacts={"network": {"path": str(EXPORT)}, "layout": {"path": _LAYOUT}},
    )
    model.signature = ModelSignature(outputs=Schema([ColSpec(DataType.float, name) for name in layout["outputs"]]))
    model.save(str(folder / "MLmodel"))

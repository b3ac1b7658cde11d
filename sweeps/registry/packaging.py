"""A network as a standalone MLflow model: raw samples in, named columns out, and no pickled code to load."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray
from torch import Tensor, nn

from sweeps.models.networks.network import Activations, Network

RECONSTRUCTION, CODE, ERROR, CLASSES = "reconstruction", "code", "reconstruction_error", "class_probabilities"
# What a packaged model needs where it runs; this project is not needed.
_REQUIREMENTS = ("mlflow", "torch", "numpy")
_FLOAT32 = np.dtype(np.float32)
# With a single example, torch.export would fix the batch size at 1.
_N_EXAMPLES = 2

Columns = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Package:
    """A network, the `scale` that raw samples are multiplied by, and `examples` of them, (samples, features)."""

    network: Network
    scale: float
    examples: NDArray[Any]

    @property
    def columns(self) -> Columns:
        """The columns of each output in the one output tensor, by name: the first, and the one after the last.

        MLflow's pyfunc takes a single tensor from a PyTorch model, so the names are kept in the model's metadata.
        """
        n_features, n_units = self.network.input_size, self.network.code_size
        sizes = {RECONSTRUCTION: n_features, CODE: n_units, ERROR: 1}
        if self.network.n_classes is not None:
            sizes[CLASSES] = self.network.n_classes
        ends = np.cumsum(list(sizes.values())).tolist()
        return {name: (end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    def save(self, folder: Path, model: Model | None = None) -> None:
        """Write the MLflow model to `folder`, which must not exist; `model` carries its MLflow ids, if it has any."""
        examples = np.asarray(self.examples[np.arange(_N_EXAMPLES) % len(self.examples)], np.float32)
        columns = self.columns
        width = max(end for _, end in columns.values())
        signature = ModelSignature(
            inputs=Schema([TensorSpec(_FLOAT32, (-1, self.network.input_size))]),
            outputs=Schema([TensorSpec(_FLOAT32, (-1, width))]),
        )
        mlflow.pytorch.save_model(
            _exported(Standalone(self.network, self.scale), examples),
            str(folder),
            mlflow_model=model,
            signature=signature,
            input_example=examples,
            pip_requirements=pinned_requirements(),
            metadata={"columns": {name: list(ends) for name, ends in columns.items()}, "scale": self.scale},
            serialization_format="pt2",
        )
        _set_cpu_device(folder)


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


def sample_errors(activations: Activations, scaled: Tensor) -> Tensor:
    """Return the mean squared error of each sample, (batch, 1), over the values of `scaled` that are present."""
    squared, present = activations.error(scaled).square(), activations.present(scaled)
    if present is None:
        return squared.mean(dim=1, keepdim=True)
    return squared.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)


def pinned_requirements() -> list[str]:
    """Return the requirements of a packaged model, at the installed versions, without torch's local build tag."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


def size_in_bytes(folder: Path) -> int:
    """Return the size of all files of a packaged model together."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _exported(module: nn.Module, examples: NDArray[np.float32]) -> nn.Module:
    """Return the module as exported by torch, for batches of any size; torch raises if it fits one size only."""
    batch = torch.export.Dim("batch")
    program = torch.export.export(module.eval(), (torch.from_numpy(examples),), dynamic_shapes=({0: batch},))
    return program.module()


def _set_cpu_device(folder: Path) -> None:
    """Make pyfunc load the model on the CPU, where its weights are; by default it fails on a host with a GPU."""
    model = Model.load(str(folder))
    model.flavors["python_function"]["config"]["device"] = "cpu"
    model.save(str(folder / "MLmodel"))

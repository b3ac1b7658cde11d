"""A challenger against the champion: what gates judge, and what they measure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeps.config.promotion import PromotionConfig
from sweeps.evaluation import measure
from sweeps.models.metrics import dead_units
from sweeps.models.networks.network import Activations, Network
from sweeps.models.networks.preprocessing import Preprocessing
from sweeps.registry.baseline import classifies
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import CLASSES, CODE, ERROR, RECONSTRUCTION, sample_errors
from sweeps.registry.rediagnosis import Rediagnosis
from sweeps.registry.sample_losses import Predictor, network_predictor, package_predictor, sample_losses

# Samples on which the reloaded model is compared with the trained network.
_N_COMPARED = 2000


@dataclass(frozen=True)
class Champion:
    """The version that holds the alias, with its tags.

    `model` is None if it was trained on other data, or if it cannot be loaded: `problem` says why. `is_renewed` if it
    cannot be loaded because an earlier release packaged it, and the challenger is the same network.
    """

    version: str
    tags: Mapping[str, str]
    model: PackagedModel | None
    problem: str | None = None
    is_renewed: bool = False


@dataclass(frozen=True)
class Reseeding:
    """The challenger's point trained again on `n_seeds` other seeds.

    `losses` are the mean losses of the seeds that finished. `median` is the contest of the network with the median
    loss, trained with `seed`; None if no seed finished, and `seed` is the challenger's own then.
    """

    n_seeds: int
    losses: Sequence[float]
    seed: int
    median: "Contest | None"


@dataclass(frozen=True)
class Contest:
    """Everything that a gate may look at.

    `network` is the challenger as it was trained, `packaged` the same network as `sweeps score` loads it, and
    `exported` as MLflow serves it. Both are None in the contest of a reseeded network, which is not packaged. `first`
    allows a promotion without a champion. `reseed` trains the point on other seeds; None if no other seeds are
    requested.
    """

    benchmark: Benchmark
    network: Network
    rediagnosis: Rediagnosis
    champion: Champion | None
    first: bool
    packaged: PackagedModel | None = None
    exported: PackagedModel | None = None
    reseed: Callable[["Contest"], Reseeding] | None = None

    @property
    def limits(self) -> PromotionConfig:
        """The limits of the gates, from the sweep file."""
        return self.benchmark.limits

    @property
    def model(self) -> PackagedModel:
        """The challenger as it is packaged."""
        assert self.packaged is not None, "a reseeded network has no package"
        return self.packaged

    @cached_property
    def predict(self) -> Predictor:
        """The challenger as a function of scaled samples: the package if there is one, else the network."""
        if self.packaged is None:
            return network_predictor(self.network)
        return package_predictor(self.packaged, self.benchmark.arrays.scale)

    @property
    def some_inputs(self) -> NDArray[Any]:
        """A few raw samples, (samples, features): of the test split, or of the validation split if that is empty."""
        arrays = self.benchmark.arrays
        return (arrays.test if self.benchmark.has_test_samples else arrays.valid).inputs[:_N_COMPARED]

    def dead_unit_share(self) -> float:
        """Return the share of the code's units that are constant on the test samples."""
        return dead_units(self.predict(self.benchmark.samples.inputs).code)

    def test_metrics(self) -> dict[str, float]:
        """Measure the metrics of the packaged challenger on the test split; they are named `test/...`."""
        benchmark = self.benchmark
        network = cast("Network", _PackageAsNetwork(self.model, self.predict, self.network.preprocessing))
        metrics = measure(network, benchmark.trial, benchmark.arrays, benchmark.arrays.test)
        if classifies(benchmark.trial):
            losses = sample_losses(self.predict, "classification_error", benchmark.samples)
            metrics["classification_error"] = float(losses.mean())
        return {f"test/{name}": value for name, value in metrics.items()}

    def reload_difference(self) -> float:
        """Return the largest difference between an output of the package and of the network, relative above 1.

        The package is computed both as `sweeps score` does and as MLflow does, with the network that torch exported.
        """
        assert self.exported is not None, "a reseeded network has no package"
        both = [self._difference(self.model), self._difference(self.exported)]
        return float(np.max(both))  # NumPy's max keeps a NaN; Python's may drop it

    def _difference(self, model: PackagedModel) -> float:
        scale = np.float32(self.benchmark.arrays.scale)
        scaled = self.some_inputs.astype(np.float32) * scale
        trained, reloaded = network_predictor(self.network)(scaled), model.outputs(self.some_inputs)
        with torch.no_grad():
            samples = torch.from_numpy(scaled)
            error = sample_errors(self.network(samples), samples).numpy()
        pairs = [
            (reloaded[RECONSTRUCTION] * scale, trained.reconstruction),
            (reloaded[CODE], trained.code),
            (reloaded[ERROR], error),
        ]
        if trained.probabilities is not None:
            pairs.append((reloaded[CLASSES], trained.probabilities))
        differences = [np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))) for ours, theirs in pairs]
        return float(np.max(differences))


class _PackageAsNetwork:
    """A packaged model with the interface of a network that `measure` needs: scaled inputs in, activations out."""

    def __init__(self, model: PackagedModel, predict: Predictor, preprocessing: Preprocessing) -> None:
        self.input_size = model.n_features
        first, end = model.columns[CODE]
        self.code_size = end - first
        self.preprocessing = preprocessing
        self._predict = predict

    def __call__(self, x: Tensor) -> Activations:
        outputs = self._predict(x.numpy())
        code = torch.from_numpy(np.ascontiguousarray(outputs.code))
        reconstruction = self.preprocessing.scaled(torch.from_numpy(outputs.reconstruction))
        return Activations(code, reconstruction, (code,)).restored(self.preprocessing, None)

    def encode(self, x: Tensor) -> Tensor:
        return self(x).code

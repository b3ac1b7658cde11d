"""From a packaged model, the champion and the data to the gates: everything is measured here, afresh."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeps.config import SweepConfig, TrialConfig
from sweeps.config.promotion import Loss
from sweeps.datamodules.arrays import DataArrays
from sweeps.evaluation import measure
from sweeps.models.metrics import dead_units
from sweeps.models.networks.network import Activations, Network
from sweeps.registry import gates
from sweeps.registry.baseline import Reference, classifies, loss_of, reference_for
from sweeps.registry.gates import Gate
from sweeps.registry.packaging import CLASSES, CODE, ERROR, RECONSTRUCTION
from sweeps.registry.rediagnosis import Examined
from sweeps.registry.sample_losses import Predictor, Samples, of_network, of_package, sample_losses
from sweeps.registry.scoring import PackagedModel
from sweeps.registry.significance import Losses, compare

CHECKSUM_TAG, TEST_CHECKSUM_TAG = "sweeps.data.checksum", "sweeps.data.test_checksum"
# Samples on which the reloaded model is held against the trained one.
_N_COMPARED = 2000


@dataclass(frozen=True)
class Champion:
    """The version that holds the alias, with its tags; `model` is None where it was made for other data."""

    version: str
    tags: Mapping[str, str]
    model: PackagedModel | None


@dataclass(frozen=True)
class Contest:
    """What challengers of one trial config are judged by: the data, the loss, and the limits of the sweep file."""

    sweep: SweepConfig
    trial: TrialConfig
    arrays: DataArrays

    @property
    def loss(self) -> Loss:
        """By which champion and challenger are compared."""
        return loss_of(self.sweep, self.trial)

    @cached_property
    def samples(self) -> Samples:
        """The test samples."""
        return Samples.of(self.trial, self.arrays, self.loss)

    @cached_property
    def reference(self) -> Reference:
        """The simple model to beat."""
        return reference_for(self.trial, self.arrays, self.samples, self.loss)

    @cached_property
    def _reference_losses(self) -> Losses:
        return sample_losses(self.reference.predict, self.reference.loss, self.samples)

    def losses(self, predict: Predictor) -> Losses:
        """The loss of each test sample."""
        return sample_losses(predict, self.loss, self.samples)

    def beats_reference(self, predict: Predictor) -> Gate:
        """The gate of the simple model."""
        reference = self.reference
        losses = sample_losses(predict, reference.loss, self.samples)
        comparison = compare(losses, self._reference_losses, self.sweep.promotion.confidence)
        return gates.reference(comparison, reference.name, reference.reason)

    def beats_champion(self, predict: Predictor, champion: Champion | None, *, first: bool) -> Gate:
        """The gate of the champion, if there is one."""
        if champion is None:
            return gates.champion(None, version=None, first=first)
        if champion.model is None:
            return gates.champion(None, version=champion.version, first=first, hindrance="it was made for other data")
        if self.loss == "classification_error" and CLASSES not in champion.model.columns:
            hindrance = "it gives no classes; set promotion.compare to another loss"
            return gates.champion(None, version=champion.version, first=first, hindrance=hindrance)
        theirs = self.losses(of_package(champion.model, self.arrays.scale))
        comparison = compare(self.losses(predict), theirs, self.sweep.promotion.confidence)
        return gates.champion(comparison, version=champion.version, first=first)

    def worth(self, predict: Predictor, champion: Champion | None, examined: Examined, *, first: bool) -> list[Gate]:
        """The gates of what a network has learnt, however it is packaged."""
        limits = self.sweep.promotion
        sound = gates.diagnosis(examined, limits.blocking)
        if not len(self.arrays.test):
            return [sound]
        share = dead_units(predict(self.samples.inputs).code)
        return [
            self.beats_champion(predict, champion, first=first),
            self.beats_reference(predict),
            sound,
            gates.dead_units(share, limits.max_dead_units),
        ]


def judge(
    contest: Contest,
    model: PackagedModel,
    network: Network,
    champion: Champion | None,
    examined: Examined,
    *,
    first: bool,
) -> list[Gate]:
    """Every gate of a challenger but that of the seeds; `network` is what was trained, `model` what was reloaded."""
    arrays, limits = contest.arrays, contest.sweep.promotion
    some = (arrays.test if len(arrays.test) else arrays.valid).inputs[:_N_COMPARED]
    return [
        _fresh_metrics(contest, model),
        gates.same_data(data_identity(arrays), None if champion is None else champion.tags),
        *contest.worth(of_package(model, arrays.scale), champion, examined, first=first),
        gates.reloaded(_difference(model, network, some, arrays.scale)),
        gates.size(model.size_bytes, limits.max_size_mb),
        gates.latency(model.latency_ms(some[:1]), limits.max_latency_ms),
    ]


def data_identity(arrays: DataArrays) -> dict[str, str]:
    """What two models must have in common to be compared, as tags: the data, and the samples that neither has seen."""
    digest = sha256(np.ascontiguousarray(arrays.test.inputs).data)
    if arrays.test.labels is not None:
        digest.update(np.ascontiguousarray(arrays.test.labels).data)
    return {CHECKSUM_TAG: arrays.checksum, TEST_CHECKSUM_TAG: digest.hexdigest()}


def has_same_data(tags: Mapping[str, str], arrays: DataArrays) -> bool:
    """Whether a version with these tags was made for the same data."""
    return all(tags.get(name) == value for name, value in data_identity(arrays).items())


def _fresh_metrics(contest: Contest, model: PackagedModel) -> Gate:
    """The trial's metrics on the test split, from the packaged model alone."""
    arrays, trial = contest.arrays, contest.trial
    if not len(arrays.test):
        return gates.fresh_metrics({}, 0, chosen_on_test=False)
    network = cast("Network", _AsNetwork(model, arrays.scale))
    metrics = measure(network, trial, arrays, arrays.test)
    if classifies(trial):
        losses = sample_losses(of_package(model, arrays.scale), "classification_error", contest.samples)
        metrics["classification_error"] = float(losses.mean())
    named = {f"test/{name}": value for name, value in metrics.items()}
    return gates.fresh_metrics(named, len(arrays.test), chosen_on_test=arrays.validate_on == "test")


class _AsNetwork:
    """A packaged model in the shape of a network, as far as its metrics need one: scaled inputs in."""

    def __init__(self, model: PackagedModel, scale: float) -> None:
        self.input_size = model.n_features
        first, end = model.columns[CODE]
        self.code_size = end - first
        self._predict = of_package(model, scale)

    def __call__(self, x: Tensor) -> Activations:
        outputs = self._predict(x.numpy())
        code = torch.from_numpy(np.ascontiguousarray(outputs.code))
        return Activations((code,), code, torch.from_numpy(outputs.reconstruction), "linear")

    def encode(self, x: Tensor) -> Tensor:
        return self(x).code


def _difference(model: PackagedModel, network: Network, raw: NDArray[Any], scale: float) -> float:
    """The largest difference between what was reloaded and what was trained, relative to values above 1."""
    scaled = raw.astype(np.float32) * np.float32(scale)
    trained, outputs = of_network(network)(scaled), model.outputs(raw)
    error = np.square(trained.reconstruction - scaled).mean(axis=1, keepdims=True)
    pairs = [
        (outputs[RECONSTRUCTION] * np.float32(scale), trained.reconstruction),
        (outputs[CODE], trained.code),
        (outputs[ERROR], error),
    ]
    if trained.probabilities is not None:
        pairs.append((outputs[CLASSES], trained.probabilities))
    differences = [np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))) for ours, theirs in pairs]
    return float(np.max(differences))  # Python's own max drops a NaN that is not the first

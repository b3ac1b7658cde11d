"""Collect the evidence of one training and diagnose it, by a few forward passes over a few clean samples."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeps.models.config import ModelConfig, TrainingConfig
from sweeps.models.diagnosis.diagnosis import diagnose
from sweeps.models.diagnosis.evidence import (
    Evidence,
    LayerStatistics,
    LossTerms,
    hidden_layers,
    layer_statistics,
    settings_of,
)
from sweeps.models.diagnosis.feature_scales import FeatureScales, feature_scales
from sweeps.models.diagnosis.findings import Finding
from sweeps.models.metrics import References
from sweeps.models.networks.network import Activations, Batch, Network
from sweeps.models.training.losses import squared_error
from sweeps.models.training.objectives import Objective

# These give shares of units and of variance to a few hundredths: no threshold of a diagnosis is finer.
N_TRAIN_SAMPLES = 2000
N_VALID_SAMPLES = 300


class Examination:
    """Collects the evidence of a training as it runs, and diagnoses it at any epoch.

    `objective` is that of the last phase, which trains the whole `network`. Pretraining is not examined: its losses are
    those of single layers. A network that classifies is judged by its `valid/classification_error`, on `n_valid`
    samples, and not by its reconstructions, which its training does not improve.
    """

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        network: Network,
        objective: Objective,
        references: References,
        column_mean: NDArray[Any] | None = None,
        n_valid: int | None = None,
    ) -> None:
        self.objective = objective
        self._network = network
        self._model = model
        self._settings = settings_of(model, training)
        if model.size_setting is None and model.code_size is None:  # no setting decides it: take what was built
            self._settings = replace(self._settings, code_size=network.code_size)
        self._references = references
        # Standardised features have a mean of 0, up to rounding.
        self._column_mean = None if network.preprocessing.scales_features else column_mean
        self._n_valid = n_valid
        self._reconstructs = not model.classifies
        self._history: list[tuple[int, dict[str, float]]] = []
        self._first_loss: LossTerms | None = None
        self._scales: FeatureScales | None = None

    def begin(self, train: Batch) -> None:
        """Measure the loss before the first step, on clean training samples."""
        self._first_loss = self._losses(self._activations(train[0]), train)[0]
        self._scales = self._scales_of(train[0])

    def add_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of an epoch that a diagnosis needs."""
        measured = ("valid/mse", "valid/denoise_mse") if self._reconstructs else ("valid/classification_error",)
        names = ("train/loss", *measured)
        self._history.append((epoch, {name: metrics[name] for name in names if name in metrics}))

    def findings(self, train: Batch, valid: Batch) -> list[Finding]:
        """Diagnose the training so far, from a few hundred or more clean training and validation samples."""
        on_train, activations = self._activations(train[0]), self._activations(valid[0])
        last_loss, train_mse = self._losses(on_train, train)
        typical = _typical_error(on_train, train[0])
        originals, reconstructions = activations.compared(valid[0])
        filters = self._network.first_layer_filters()
        evidence = Evidence(
            settings=self._settings,
            references=self._references,
            history=self._history,
            column_mean=self._column_mean,
            originals=_array(originals) if self._reconstructs else None,
            reconstructions=_array(reconstructions) if self._reconstructs else None,
            layers=self._layers(activations),
            filters=None if filters is None else _array(filters),
            first_loss=self._first_loss,
            last_loss=last_loss,
            train_mse=train_mse if self._reconstructs else None,
            n_valid=self._n_valid,
            scales=self._scales_of(train[0]),
            typical_gap=_typical_error(activations, valid[0]) / typical if typical > 0 else None,
        )
        return diagnose(evidence)

    def findings_of_divergence(self, epoch: int, layer: int | None = None) -> list[Finding]:
        """Diagnose a training whose values were no longer finite after `epoch`, by its metrics alone.

        `layer`, counted from 0, was being pretrained; None if the whole network was trained.
        """
        settings = self._settings
        rate = None if layer is None else self._model.pretraining_rate(layer)
        if rate is not None:
            settings = replace(settings, learning_rate=rate[0], rate_setting=rate[1])
        broken = (epoch, {"train/loss": float("nan"), "valid/mse": float("nan")})
        return diagnose(Evidence(settings, self._references, [*self._history, broken], scales=self._scales))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as plain values."""
        return {
            "history": self._history,
            "first_loss": None if self._first_loss is None else asdict(self._first_loss),
            "scales": None if self._scales is None else asdict(self._scales),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        first, scales = state["first_loss"], state.get("scales")  # earlier versions keep no scales
        self._history = list(state["history"])
        self._first_loss = None if first is None else LossTerms(**first)
        self._scales = None if scales is None else FeatureScales(**scales)

    @torch.no_grad()
    def _activations(self, inputs: Tensor) -> Activations:
        return self._network(inputs)

    @torch.no_grad()
    def _losses(self, activations: Activations, train: Batch) -> tuple[LossTerms, float]:
        """Return the terms of the loss, and the mean squared error, from the pass over `train`."""
        loss, penalty = self.objective.terms(activations, train)
        squared, n_values = squared_error(activations, train[0])
        return LossTerms(loss.item(), penalty.item()), squared.item() / max(int(n_values), 1)

    def _scales_of(self, inputs: Tensor) -> FeatureScales | None:
        """Return the scales of inputs (samples, features) in the units of errors."""
        return feature_scales(_array(self._network.preprocessing.filled(inputs)))

    def _layers(self, activations: Activations) -> tuple[LayerStatistics, ...]:
        """Return statistics of the hidden layers that were trained: of a classifier, only the encoder's."""
        settings = hidden_layers(self._model)
        if not settings:
            return ()
        n_trained = len(settings) if self._reconstructs else len(self._model.encoder_sizes)
        pairs = zip(activations.hidden, settings, strict=True)
        return tuple(layer_statistics(_array(outputs), layer) for outputs, layer in list(pairs)[:n_trained])


def _typical_error(activations: Activations, inputs: Tensor) -> float:
    """Return the median over samples of their mean squared error, which a few outliers do not change."""
    return float(np.median(_array(activations.error(inputs).square().mean(dim=1))))


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().numpy()

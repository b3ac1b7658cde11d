"""Measurements beyond the training's own metrics: the linear probe, and the diagnosis of a network in training."""

from collections.abc import Mapping
from typing import Any

import torch

from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.diagnosis.examination import N_TRAIN_SAMPLES, N_VALID_SAMPLES, Examination
from sweeps.models.diagnosis.findings import Finding
from sweeps.models.networks.network import Network
from sweeps.models.training.objectives import Objective
from sweeps.models.training.sample_values import Values, probe_mistakes, sample_values
from sweeps.models.training.validation import Validation, probe


class Measurements:
    """Probe and diagnose one point's network. `n_probe_samples` of 0 leaves the probe out."""

    def __init__(
        self,
        network: Network,
        examination: Examination,
        data: ArrayDataModule,
        n_probe_samples: int,
        validation: Validation | None = None,
    ) -> None:
        self.network = network
        self._validation = validation
        self.data = data
        self._examination = examination
        self._n_probe_samples = n_probe_samples
        # Only the phase that trains the whole network is diagnosed: losses of pretraining are of other networks.
        self.diagnoses = False

    def begin_phase(self, objective: Objective, n_epochs: int, device: torch.device) -> None:
        """Begin or resume, after `n_epochs`, a phase that minimizes `objective`; keep the initial loss."""
        self.diagnoses = objective is self._examination.objective
        if self.diagnoses and n_epochs == 0:
            self._examination.begin(self.data.train_sample(N_TRAIN_SAMPLES, device))

    def add_probe(self, metrics: dict[str, float], device: torch.device) -> None:
        """Add `valid/probe_error` to the metrics of a validated epoch, unless it is there already."""
        if self._n_probe_samples and "valid/mse" in metrics and "valid/probe_error" not in metrics:
            labels = self.data.valid_labels()
            assert labels is not None, "a point without labels has no probe samples"
            train = self.data.train_sample(self._n_probe_samples, device)
            metrics["valid/probe_error"] = probe(self.network, train, self.data.valid_inputs(device), labels)

    def sample_values(self, metric: str, network: Network, device: torch.device) -> Values | None:
        """Return the values of each validation sample, (samples,), whose mean is a metric; None if it is no mean."""
        if metric == "valid/probe_error":
            labels = self.data.valid_labels()
            if not self._n_probe_samples or labels is None:
                return None
            train = self.data.train_sample(self._n_probe_samples, device)
            return probe_mistakes(network, train, self.data.valid_inputs(device), labels)
        if self._validation is None:
            return None
        return sample_values(metric, network, self._validation, self.data.valid_batches(device), device)

    def add_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of an epoch for later diagnoses."""
        self._examination.add_epoch(epoch, metrics)

    def diagnose(self, device: torch.device) -> list[Finding]:
        """Diagnose the network as it is now."""
        train = self.data.train_sample(N_TRAIN_SAMPLES, device)
        return self._examination.findings(train, self.data.valid_sample(N_VALID_SAMPLES, device))

    def diagnose_divergence(self, epoch: int, phase: int) -> list[Finding]:
        """Diagnose a training whose loss or metrics stopped being finite in `epoch`."""
        return self._examination.findings_of_divergence(epoch, None if self.diagnoses else phase)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as plain values."""
        return self._examination.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self._examination.restore(state)

"""What models of one trial config are compared on: the data, the test samples, the loss and the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from sweeps.config import SweepConfig, TrialConfig
from sweeps.config.promotion import Loss, PromotionConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.registry.baseline import Baseline, choose_baseline, comparison_loss
from sweeps.registry.sample_losses import Predictor, Samples, sample_losses
from sweeps.registry.significance import Comparison, Losses, compare

CHECKSUM_TAG, TEST_CHECKSUM_TAG = "sweeps.data.checksum", "sweeps.data.test_checksum"


@dataclass(frozen=True)
class Benchmark:
    """The sweep, one of its trial configs and its data set; everything else is derived once, on first use.

    `built_code_size` are the units of the network's code: those of a plug-in may follow from no setting.
    """

    sweep: SweepConfig
    trial: TrialConfig
    arrays: DataArrays
    built_code_size: int | None = None

    @property
    def limits(self) -> PromotionConfig:
        """The limits of the gates, from the sweep file."""
        return self.sweep.promotion

    @property
    def has_test_samples(self) -> bool:
        """Whether a test split was set aside."""
        return len(self.arrays.test) > 0

    @cached_property
    def loss(self) -> Loss:
        """The loss that champion and challenger are compared by."""
        return comparison_loss(self.sweep, self.trial)

    @cached_property
    def samples(self) -> Samples:
        """The test samples."""
        return Samples.of(self.trial, self.arrays, self.loss)

    @cached_property
    def baseline(self) -> Baseline:
        """The simple model that a challenger must beat."""
        return choose_baseline(self.trial, self.arrays, self.samples, self.loss, self._code_size)

    @property
    def _code_size(self) -> int | None:
        """Units of the code; None if the section chooses a network without one."""
        model = self.trial.model
        return self.built_code_size if model.code_size is None and model.size_setting is None else model.code_size

    @cached_property
    def _baseline_losses(self) -> Losses:
        return sample_losses(self.baseline.predict, self.baseline.loss, self.samples)

    def losses(self, predict: Predictor) -> Losses:
        """Return a model's loss on each test sample, (samples,)."""
        return sample_losses(predict, self.loss, self.samples)

    def compare(self, challenger: Predictor, champion: Predictor) -> Comparison:
        """Compare two models by their losses on the test samples."""
        return compare(self.losses(challenger), self.losses(champion), self.limits.confidence)

    def compare_with_baseline(self, challenger: Predictor) -> Comparison:
        """Compare a model with the baseline, by the baseline's loss on the test samples."""
        losses = sample_losses(challenger, self.baseline.loss, self.samples)
        return compare(losses, self._baseline_losses, self.limits.confidence)


def data_identity(arrays: DataArrays) -> dict[str, str]:
    """Return the tags that two comparable models share: checksums of the data set and of its test samples."""
    digest = sha256(np.ascontiguousarray(arrays.test.inputs).data)
    if arrays.test.labels is not None:
        digest.update(np.ascontiguousarray(arrays.test.labels).data)
    return {CHECKSUM_TAG: arrays.checksum, TEST_CHECKSUM_TAG: digest.hexdigest()}


def has_same_data(tags: Mapping[str, str], arrays: DataArrays) -> bool:
    """Return whether a version with these tags was trained and tested on the same data."""
    return all(tags.get(name) == value for name, value in data_identity(arrays).items())

"""The context that all points of a sweep are trained in."""

import sweeps.trial.lightning_import  # noqa: F401, I001  # before Lightning
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.config import ModelConfig
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.metrics import References
from sweeps.storage.layout import SweepFolder
from sweeps.trial.phase_timer import PhaseTimer
from sweeps.trial.references import pick_references

Accelerator = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class TrialContext:
    """The sweep, its data, the references its metrics compare with, and the folder it records to.

    `column_mean`, (features,), is the mean of the scaled training inputs; without it, a diagnosis reports less.
    `statistics` and `standardized` are those of `Dataset`. A `timer` limits the steps of each epoch, and times them.
    """

    sweep: SweepConfig
    arrays: DataArrays
    references: References
    folder: SweepFolder
    column_mean: NDArray[np.float64] | None = None
    accelerator: Accelerator = "cpu"
    statistics: FeatureStatistics | None = None
    standardized: References | None = None
    timer: PhaseTimer | None = None

    def references_for(self, model: ModelConfig) -> References:
        """Return the references of a model's metrics, in the units of its errors."""
        return pick_references(model, self.references, self.standardized)

    @cached_property
    def data(self) -> ArrayDataModule:
        """The data module that serves every point, so that the arrays are on the device once."""
        return ArrayDataModule(self.arrays, batch_size=1, seed=0)

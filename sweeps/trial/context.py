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
from sweeps.models.metrics import References
from sweeps.storage.layout import SweepFolder

Accelerator = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class TrialContext:
    """The sweep, its data, the references its metrics compare with, and the folder it records to.

    `column_mean`, (features,), is the mean of the scaled training inputs; without it, a diagnosis reports less.
    """

    sweep: SweepConfig
    arrays: DataArrays
    references: References
    folder: SweepFolder
    column_mean: NDArray[np.float64] | None = None
    accelerator: Accelerator = "cpu"

    @cached_property
    def data(self) -> ArrayDataModule:
        """The data module that serves every point, so that the arrays are on the device once."""
        return ArrayDataModule(self.arrays, batch_size=1, seed=0)

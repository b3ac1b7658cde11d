"""What a sweep computes from its data once, before any trial: the arrays, and the references of its metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.config import SweepConfig, TrialConfig
from sweeps.datamodules.arrays import DataArrays, DatasetError, check_unit_interval
from sweeps.datamodules.build import load_arrays
from sweeps.errors import DataError
from sweeps.models.config import ModelConfig
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.metrics import References
from sweeps.models.pca import PrincipalComponents
from sweeps.storage.layout import home
from sweeps.trial.data_requirements import needs_references, reference_issues, requirement_issues
from sweeps.trial.pca_cache import pca_of
from sweeps.trial.plugin_requirements import log_unpackable, plugin_issues
from sweeps.trial.references import (
    needs_statistics,
    pick_references,
    standardized_references,
    statistics_of,
)


@dataclass(frozen=True)
class Dataset:
    """The arrays that workers get, without the test split, and the references that metrics compare with.

    `pca` is fitted on the scaled training inputs; it keeps the first thousand components. `statistics`, of the scaled
    training inputs, are there if a model needs them. `standardized` are the references of the models that standardise
    features, if there are any.
    """

    arrays: Mapping[str, Any]
    references: References
    pca: PrincipalComponents
    description: Mapping[str, Any]
    statistics: FeatureStatistics | None = None
    standardized: References | None = None

    def references_for(self, model: ModelConfig) -> References:
        """Return the references of a model's metrics, in the units of its errors."""
        return pick_references(model, self.references, self.standardized)

    @property
    def column_mean(self) -> NDArray[np.float64]:
        """The mean of the scaled training inputs: (features,)."""
        return self.pca.mean

    @property
    def pca_mse(self) -> NDArray[np.float64]:
        """The validation error of PCA by number of components."""
        return self.references.pca_mse


def load_dataset(config: SweepConfig) -> Dataset:
    """Load the data of a sweep and fit its references. Raises DataError as `load_suitable` does."""
    return fit_references(config, load_suitable(config))


def load_suitable(config: SweepConfig, *, is_measured: bool = False) -> DataArrays:
    """Load all splits of a sweep's data.

    Raises DataError if they are missing or damaged, or if they are unfit for one of its models or cannot give one of
    its objectives or gates. `is_measured` leaves the last two out: trials have values of the objectives already.
    """
    arrays = load_splits(config)
    if not is_measured:
        trials = config.corner_trials()
        issues = _misfits(trials, arrays) + requirement_issues(config, arrays) + plugin_issues(trials, arrays)
        if issues:
            raise DataError(issues)
        if config.execution == "packed":
            log_unpackable(trials, arrays)
    return arrays


def fit_references(config: SweepConfig, arrays: DataArrays, *, is_measured: bool = False) -> Dataset:
    """Fit the references of a sweep's data set. Never fork meanwhile: OpenBLAS' threads would deadlock.

    Raises DataError if an objective is a ratio to one of them that is 0, unless `is_measured`.
    """
    folder, models = home() / "references", [trial.model for trial in config.corner_trials()]
    pca, references = pca_of(arrays, folder)
    statistics = statistics_of(arrays) if any(needs_statistics(model, arrays) for model in models) else None
    standardized = None
    if statistics is not None and any(model.standardize == "feature" for model in models):
        standardized = standardized_references(arrays, statistics, folder)
    issues = [] if is_measured else reference_issues(config, standardized or references)
    if issues:
        raise DataError(issues)
    return Dataset(arrays.without_test(), references, pca, arrays.describe(), statistics, standardized)


def check_data(config: SweepConfig) -> DataArrays:
    """Load the data of a sweep, and raise DataError if a sweep could not start with them."""
    arrays = load_suitable(config)
    if needs_references(config):
        fit_references(config, arrays)
    return arrays


def load_splits(config: SweepConfig) -> DataArrays:
    """Load all splits of a sweep's data, including test. Raises DataError if they are missing or damaged."""
    try:
        return load_arrays(config.data)
    except DatasetError as error:
        raise DataError(error.issues) from error


def _misfits(trials: Sequence[TrialConfig], arrays: DataArrays) -> list[str]:
    """Return the requirements of the models that the data do not meet."""
    issues: list[str] = []
    for needs in sorted({needs for trial in trials for needs in trial.model.unit_interval_needs}):
        try:
            check_unit_interval(arrays, *needs)
        except DatasetError as error:
            issues.extend(error.issues)
    if arrays.has_missing:
        issues += [
            f"{needed_by} needs data without missing values, and those of {arrays.name} may be missing: use {instead}, "
            "or set data.missing to mean"
            for needed_by, instead in sorted({needs for trial in trials for needs in trial.model.complete_data_needs})
        ]
    if arrays.n_classes is None:
        issues += [
            f"{setting.path} {setting.with_labels} needs labels and {arrays.name} has none: set it to "
            f"{setting.without_labels}"
            for setting in dict.fromkeys(trial.model.labels_setting for trial in trials if trial.model.classifies)
            if setting is not None
        ]
    return issues

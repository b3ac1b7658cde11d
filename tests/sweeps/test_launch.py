"""The setup of a sweep before its first trial."""

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
import ray

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.launch import prepare, start_progress
from sweeps.models.metrics import References
from sweeps.models.pca import PrincipalComponents
from sweeps.trial import dataset
from sweeps.trial.pca_cache import pca_of


@pytest.mark.slow
def test_references_are_fitted_after_ray_has_started(
    small_sweep: Callable[..., SweepConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fork stops OpenBLAS' threads, and a decomposition waits for them: at the same time, they deadlock.
    had_started = []

    def fit(arrays: DataArrays, folder: Path) -> tuple[PrincipalComponents, References]:
        had_started.append(ray.is_initialized())
        return pca_of(arrays, folder)

    monkeypatch.setattr(dataset, "pca_of", fit)
    config = small_sweep()
    progress = start_progress(config, None)
    with patch.dict(os.environ), prepare(config, progress) as inputs:  # it sets Ray's variables permanently
        assert len(inputs.dataset.pca_mse) > 1
    assert had_started == [True]
    steps = [step.text for step in progress.steps if step.text != "waiting for the data"]
    assert steps == ["reading the data", "starting Ray", "fitting reference models"]
    assert progress.cluster.startswith("Ray started on this machine: ")

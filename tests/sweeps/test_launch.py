"""The setup of a sweep before its first trial."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest
import ray

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.errors import DataError
from sweeps.launch import prepare, session, start_progress
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
    assert [step.text for step in progress.steps] == ["reading the data", "starting Ray", "fitting reference models"]
    assert progress.cluster.startswith("Ray started on this machine: ")


def test_data_that_cannot_give_the_objective_are_refused_before_ray_starts_however_slowly_they_load(
    small_sweep: Callable[..., SweepConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    load, connect = dataset.load_splits, Mock()

    def load_slowly(config: SweepConfig) -> DataArrays:
        time.sleep(0.5)
        return load(config)

    monkeypatch.setattr(dataset, "load_splits", load_slowly)
    monkeypatch.setattr(session, "prepare", Mock())
    monkeypatch.setattr(session, "connect", connect)
    sections: dict[str, Any] = {"data": {"name": "digits", "n_test": 0}, "promotion": {"compare": "mse"}}
    config = small_sweep(**sections)
    with pytest.raises(DataError, match=r"promotion\.compare"), prepare(config, start_progress(config, None)):
        pass
    assert not connect.called

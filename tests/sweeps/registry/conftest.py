"""Sweeps that MLflow has, to promote from."""

from collections.abc import Callable
from typing import Any

import pytest

from sweeps.config import SweepConfig
from sweeps.storage.layout import find
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.shipper import sync
from sweeps.tracking.results import SweepResult, load_result

# A code that narrows nothing must beat the training mean, which three epochs on digits do.
EASY_TO_PASS = {
    "model": {"name": "shallow", "hidden_size": 80, "activation": "elu"},
    "training": {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 0},
}


@pytest.fixture
def delivered(
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
    small_sweep: Callable[..., SweepConfig],
    run_here: Callable[[SweepConfig], SweepResult],
) -> Callable[..., SweepResult]:
    """Run a sweep, by default of two epochs on digits, without Ray, and deliver it to a real MLflow server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)

    def run(config: SweepConfig | None = None, **sections: Any) -> SweepResult:
        result = run_here(config or small_sweep(**(EASY_TO_PASS | sections)))
        folder = find(result.sweep)
        with Journal.open(folder.journal) as journal:
            status = sync(journal, server.uri, folder.path, patience_seconds=60)
        assert (status.n_undelivered, status.n_refused) == (0, 0), status
        return load_result(folder)

    return run

"""Sweeps to promote, delivered to MLflow, and benchmarks on digits."""

from collections.abc import Callable
from typing import Any

import pytest
from challengers import TRAINING
from packages import SCALE, raw_samples, trained

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import DigitsConfig
from sweeps.evaluation import data_of
from sweeps.models.config import ModelConfig
from sweeps.models.networks.network import Network
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import Package
from sweeps.storage.layout import find
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.shipper import sync
from sweeps.tracking.results import SweepResult, load_result

# A code that is no bottleneck must beat the training mean, and does after two epochs on digits.
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


@pytest.fixture
def run_one(
    small_sweep: Callable[..., SweepConfig], run_here: Callable[[SweepConfig], SweepResult]
) -> Callable[..., tuple[Benchmark, SweepResult]]:
    """Train one point on digits; return its benchmark and its result."""

    def run(**sections: Any) -> tuple[Benchmark, SweepResult]:
        config = small_sweep(**({"training": TRAINING} | sections))
        result = run_here(config)
        return Benchmark(config, config.trial, data_of(result)), result

    return run


@pytest.fixture
def benchmark_of(small_sweep: Callable[..., SweepConfig], digits_arrays: DataArrays) -> Callable[..., Benchmark]:
    """The benchmark of a point on digits, untrained."""

    def make(**sections: Any) -> Benchmark:
        config = small_sweep(**({"training": TRAINING} | sections))
        return Benchmark(config, config.trial, digits_arrays)

    return make


@pytest.fixture(scope="session")
def digits_arrays() -> DataArrays:
    return load_arrays(DigitsConfig())


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ModelConfig], tuple[Network, PackagedModel]]:
    """A network and the same one packaged, saved and loaded; made once for each config."""
    made: dict[str, tuple[Network, PackagedModel]] = {}

    def make(config: ModelConfig) -> tuple[Network, PackagedModel]:
        key = config.model_dump_json()
        if key not in made:
            network, folder = trained(config), tmp_path_factory.mktemp("package") / "model"
            Package(network, config, SCALE, raw_samples(3)).save(folder)
            made[key] = network, PackagedModel.load(folder)
        return made[key]

    return make

"""Challengers on digits, for the tests of the registry; `pythonpath` in pyproject.toml lets every test import it."""

from sweeps.models.networks.network import Network
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.contest import Contest
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.rediagnosis import Rediagnosis

STACK = {
    "name": "stacked_denoising",
    "hidden_sizes": [40],
    "noise": {"level": 0.1},
    "pretraining": {"epochs": 1, "learning_rate": 0.01},
}
TRAINING = {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 400}


def first_promotion(benchmark: Benchmark, network: Network, model: PackagedModel | None = None) -> Contest:
    """The contest of a network without findings, where no version holds the alias."""
    found, exported = Rediagnosis(2, 2, [], []), None if model is None else model.exported()
    return Contest(benchmark, network, found, champion=None, first=True, packaged=model, exported=exported)

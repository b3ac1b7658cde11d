"""Networks to package, and raw samples for them, for the tests of the registry."""

import numpy as np
import torch

from sweeps.models.build import build_network
from sweeps.models.config import DeepConfig, LinearConfig, ModelConfig, ShallowConfig, StackedDenoisingConfig
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.networks.network import Network

N_FEATURES = 12
SCALE = 1 / 16
CONFIGS: list[ModelConfig] = [
    LinearConfig(),
    ShallowConfig(hidden_size=5, activation="sigmoid", output_activation="sigmoid", loss="bce", tied_weights=True),
    DeepConfig(hidden_sizes=(8, 6), code_size=3, activation="elu", standardize="sample"),
    StackedDenoisingConfig(hidden_sizes=(8, 5)),
    StackedDenoisingConfig(hidden_sizes=(8, 5), fine_tuning="reconstruction"),
    DeepConfig(hidden_sizes=(8, 6), code_size=3, activation="elu", standardize="feature"),
]


def trained(config: ModelConfig, train: np.ndarray | None = None) -> Network:
    """A network with the feature statistics of `train`, by default of 50 raw samples."""
    statistics = feature_statistics(raw_samples(50) if train is None else train, SCALE)
    network = build_network(config, input_size=N_FEATURES, n_classes=4, seed=1, statistics=statistics)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():  # biases and a softmax start at 0
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


def raw_samples(n_samples: int) -> np.ndarray:
    return np.random.default_rng(n_samples).integers(0, 17, (n_samples, N_FEATURES)).astype(np.uint8)

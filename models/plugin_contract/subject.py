"""A plug-in network under test, as the rules of its contract see it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sweeps.models.build import build_network
from sweeps.models.config import NetworkSettings
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.networks.seeds import seeded_generator
from sweeps.models.training.objectives import Reconstruction, reconstruction

_N_SAMPLES = 6


class Skipped(Exception):
    """A rule that need not hold; the message says what is left out."""


@dataclass(frozen=True)
class Subject:
    """A plug-in network under test: its section, and the shape of its samples."""

    section: NetworkSettings
    shape: SampleShape

    def build(self, seed: int = 0) -> PluginNetwork:
        """Return a new network, with the initial weights of a seed."""
        statistics = feature_statistics(self.samples.numpy(), 1.0)
        network = build_network(self.section, input_size=self.shape, n_classes=None, seed=seed, statistics=statistics)
        assert isinstance(network, PluginNetwork)
        return network

    @cached_property
    def network(self) -> PluginNetwork:
        """A network to measure; a rule that trains builds its own."""
        return self.build()

    @cached_property
    def samples(self) -> Tensor:
        """Samples in [0, 1]: (samples, features)."""
        return torch.rand(_N_SAMPLES, self.shape.n_features, generator=seeded_generator(0))

    def objective(self) -> Reconstruction:
        """Return what a new network is trained by."""
        return reconstruction(self.section, self.build())

"""A convolutional plug-in network for images of 8x8 pixels, in a module of the test's own."""

from pathlib import Path

import numpy as np

from sweeps.models.build import build_network
from sweeps.models.config import NetworkSettings
from sweeps.models.config.plugin import plugin_section
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.image_shape import SampleShape
from sweeps.models.networks.network import Network

SHAPE = SampleShape(64, (8, 8))
SOURCE = """
import torch
from pydantic import Field
from torch import nn

from sweeps.models.config import NetworkSettings
from sweeps.models.networks.network import Activations


class ConvSettings(NetworkSettings):
    channels: int = Field(4, gt=0, description="Channels of the hidden images.")
    code_size: int = Field(3, gt=0, description="Units of the code.")


class ConvAutoencoder(nn.Module):
    Settings = ConvSettings

    def __init__(self, settings, shape):
        super().__init__()
        channels, (colours, height, width) = settings.channels, shape.channels_first
        n_hidden = channels * (height // 2) * (width // 2)
        self.shape = shape
        self.encoder = nn.Sequential(
            nn.Conv2d(colours, channels, 3, 2, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(n_hidden, settings.code_size),
        )
        self.decoder = nn.Sequential(
            nn.Linear(settings.code_size, n_hidden),
            nn.GELU(),
            nn.Unflatten(1, (channels, height // 2, width // 2)),
            nn.ConvTranspose2d(channels, colours, 2, 2),
        )

    def forward(self, x):
        code = self.encoder(self.shape.as_images(x))
        return Activations(code, self.shape.as_features(self.decoder(code)))


class NoSizeSettings(NetworkSettings):
    units: int = Field(5, gt=0, description="Units.")


class NoSize(nn.Module):
    Settings = NoSizeSettings

    def __init__(self, settings, shape):
        super().__init__()
        self.encoder = nn.Linear(shape.n_features, settings.units)
        self.decoder = nn.Linear(settings.units, shape.n_features)

    def forward(self, x):
        code = self.encoder(x).tanh()
        return Activations(code, self.decoder(code))


class Branching(NoSize):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class OneBatchSize(NoSize):
    def forward(self, x):
        return super().forward(x + torch.ones(2, 1))


@torch.library.custom_op("OPERATORS::own_tanh", mutates_args=())
def own_tanh(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x)


@own_tanh.register_fake
def _(x):
    return torch.empty_like(x)


class OwnOperator(NoSize):
    def forward(self, x):
        code = own_tanh(self.encoder(x))
        return Activations(code, self.decoder(code))
"""


def write_plugin(folder: Path, module: str) -> str:
    """Write the module to a folder; return the name of its convolutional plug-in."""
    source = SOURCE.replace("OPERATORS", module)
    (folder / f"{module}.py").write_text(source)
    return f"{module}:ConvAutoencoder"


def raw_images(n_samples: int) -> np.ndarray:
    return np.random.default_rng(n_samples).integers(0, 17, (n_samples, 64)).astype(np.uint8)


def untrained(name: str, train: np.ndarray | None = None, **settings: object) -> tuple[NetworkSettings, Network]:
    """Return the section of a plug-in and its network, with the statistics of `train`, by default of 50 samples."""
    section = plugin_section(name).model_validate(settings)
    statistics = feature_statistics(raw_images(50) if train is None else train, 1 / 16)
    return section, build_network(section, input_size=SHAPE, n_classes=None, seed=1, statistics=statistics)

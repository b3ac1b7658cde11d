"""The `model` and `training` sections of a trial config; imports nothing heavy.

A network family is a section here, listed in `ModelConfig`, and a module in `models/networks/`.
"""

from typing import TYPE_CHECKING, Annotated, TypeAlias, get_args

from pydantic import Discriminator

from sweeps.models.config.autoencoder import AutoencoderConfig, Initialization
from sweeps.models.config.deep import DeepConfig
from sweeps.models.config.linear import LinearConfig
from sweeps.models.config.network import Activation, LabelsSetting, NetworkConfig, Standardization
from sweeps.models.config.plugin import NetworkSettings, plugin_section
from sweeps.models.config.shallow import ShallowConfig
from sweeps.models.config.stacked_denoising import StackedDenoisingConfig
from sweeps.models.config.training import (
    LayerNoiseConfig,
    NoiseConfig,
    PretrainingConfig,
    Schedule,
    TrainingConfig,
)
from sweeps.plugin_import import NETWORKS, PluginSections

__all__ = [
    "FAMILIES",
    "Activation",
    "AutoencoderConfig",
    "DeepConfig",
    "Initialization",
    "LabelsSetting",
    "LayerNoiseConfig",
    "LinearConfig",
    "ModelConfig",
    "NetworkConfig",
    "NetworkSettings",
    "NoiseConfig",
    "PretrainingConfig",
    "Schedule",
    "ShallowConfig",
    "StackedDenoisingConfig",
    "Standardization",
    "TrainingConfig",
]

_Families: TypeAlias = LinearConfig | ShallowConfig | DeepConfig | StackedDenoisingConfig
FAMILIES: tuple[type[AutoencoderConfig], ...] = get_args(_Families)

if TYPE_CHECKING:
    ModelConfig: TypeAlias = NetworkConfig
else:
    ModelConfig = Annotated[
        _Families, Discriminator("name"), PluginSections(NETWORKS, FAMILIES, plugin_section, NetworkSettings)
    ]

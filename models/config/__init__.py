"""The `model` and `training` sections of a trial config; imports nothing heavy.

A network family is a section here, listed in `ModelConfig`, and a module in `models/networks/`.
"""

from typing import Annotated, get_args

from pydantic import Field

from sweeps.models.config.autoencoder import (
    Activation,
    AutoencoderConfig,
    Initialization,
    LabelsSetting,
    Standardization,
)
from sweeps.models.config.deep import DeepConfig
from sweeps.models.config.linear import LinearConfig
from sweeps.models.config.shallow import ShallowConfig
from sweeps.models.config.stacked_denoising import StackedDenoisingConfig
from sweeps.models.config.training import (
    LayerNoiseConfig,
    NoiseConfig,
    PretrainingConfig,
    Schedule,
    Section,
    TrainingConfig,
)

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
    "NoiseConfig",
    "PretrainingConfig",
    "Schedule",
    "Section",
    "ShallowConfig",
    "StackedDenoisingConfig",
    "Standardization",
    "TrainingConfig",
]

ModelConfig = Annotated[LinearConfig | ShallowConfig | DeepConfig | StackedDenoisingConfig, Field(discriminator="name")]
FAMILIES: tuple[type[AutoencoderConfig], ...] = get_args(get_args(ModelConfig)[0])

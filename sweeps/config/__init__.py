"""The sweep file: its sections, checks across them, the search space, and the recipes that ship."""

from sweeps.config import python_calls as python_calls  # checks the sections that Python code builds
from sweeps.config.objective import ObjectiveConfig
from sweeps.config.promotion import PromotionConfig
from sweeps.config.recipes import recipe_names, recipe_summaries, recipe_text
from sweeps.config.resources import BudgetConfig, FiguresConfig, ResourcesConfig
from sweeps.config.schedulers import AshaConfig, NoStoppingConfig
from sweeps.config.search_space import Choices, Interval
from sweeps.config.searchers import GridConfig, RandomConfig, TpeConfig
from sweeps.config.sections import TrialConfig
from sweeps.config.sweep import SweepConfig, json_schema, load
from sweeps.datamodules.config import (
    BlobsConfig,
    DigitsConfig,
    FashionMnistConfig,
    MnistConfig,
    NormalConfig,
    RowsConfig,
    UniformConfig,
)
from sweeps.datamodules.own_data_config import ArrayConfig, TableConfig
from sweeps.models.config import (
    DeepConfig,
    LayerNoiseConfig,
    LinearConfig,
    NoiseConfig,
    PretrainingConfig,
    ShallowConfig,
    StackedDenoisingConfig,
    TrainingConfig,
)

__all__ = [
    "ArrayConfig",
    "AshaConfig",
    "BlobsConfig",
    "BudgetConfig",
    "Choices",
    "DeepConfig",
    "DigitsConfig",
    "FashionMnistConfig",
    "FiguresConfig",
    "GridConfig",
    "Interval",
    "LayerNoiseConfig",
    "LinearConfig",
    "MnistConfig",
    "NoStoppingConfig",
    "NoiseConfig",
    "NormalConfig",
    "ObjectiveConfig",
    "PretrainingConfig",
    "PromotionConfig",
    "RandomConfig",
    "ResourcesConfig",
    "RowsConfig",
    "ShallowConfig",
    "StackedDenoisingConfig",
    "SweepConfig",
    "TableConfig",
    "TpeConfig",
    "TrainingConfig",
    "TrialConfig",
    "UniformConfig",
    "json_schema",
    "load",
    "recipe_names",
    "recipe_summaries",
    "recipe_text",
]

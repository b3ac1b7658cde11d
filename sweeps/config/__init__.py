"""The sweep file: its sections, checks across them, the search space, and the recipes that ship."""

from sweeps.config.objective import ObjectiveConfig
from sweeps.config.recipes import recipe_names, recipe_text
from sweeps.config.resources import ResourcesConfig
from sweeps.config.sections import TrialConfig
from sweeps.config.sweep import SweepConfig, json_schema, load, recipe_summaries

__all__ = [
    "ObjectiveConfig",
    "ResourcesConfig",
    "SweepConfig",
    "TrialConfig",
    "json_schema",
    "load",
    "recipe_names",
    "recipe_summaries",
    "recipe_text",
]

"""What authors of plug-ins use: the base classes of settings, the values plug-ins return, and contract tests.

    from sweeps.plugins import Activations, NetworkSettings, SampleShape, check_network
    from sweeps.plugins import DataSettings, Samples, check_data

Everything is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.datamodules.plugin_check import check_data
    from sweeps.datamodules.plugin_config import DataSettings
    from sweeps.datamodules.plugin_data import Samples
    from sweeps.models.config import NetworkSettings
    from sweeps.models.image_shape import SampleShape
    from sweeps.models.networks.network import Activations
    from sweeps.models.plugin_contract.contract import check_network
    from sweeps.plugin_checks import Check
    from sweeps.plugin_import import PluginError

__all__ = [
    "Activations",
    "Check",
    "DataSettings",
    "NetworkSettings",
    "PluginError",
    "SampleShape",
    "Samples",
    "check_data",
    "check_network",
]

_HOMES = {
    "Activations": "sweeps.models.networks.network",
    "NetworkSettings": "sweeps.models.config",
    "PluginError": "sweeps.plugin_import",
    "SampleShape": "sweeps.models.image_shape",
    "check_network": "sweeps.models.plugin_contract.contract",
    "Check": "sweeps.plugin_checks",
    "DataSettings": "sweeps.datamodules.plugin_config",
    "Samples": "sweeps.datamodules.plugin_data",
    "check_data": "sweeps.datamodules.plugin_check",
}


if not TYPE_CHECKING:  # A type checker would accept any name of a module that has it.

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'sweeps.plugins' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)

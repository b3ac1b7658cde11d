"""The sections of plug-in networks: the settings of the user's own class, and those that every network has."""

import sys
from functools import cache
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import Field, create_model, model_validator

from sweeps.models.config.network import NetworkConfig
from sweeps.plugin_import import NETWORKS, PluginError, import_plugin


class NetworkSettings(NetworkConfig):
    """The settings that every plug-in network has: subclass it, and add fields of the network's own.

    `code_size`, the units of the code, may be one of the fields, or a property that the fields decide; rank by
    `valid/mse_over_pca` only with it. Do not declare `name`: it is the network's name in the sweep file.
    """

    network: ClassVar[str] = "sweeps.models.networks.plugin:build"
    initialise: ClassVar[str] = "sweeps.models.networks.plugin:initialise"
    size_setting: ClassVar[str | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let `code_size` be None unless the subclass declares it."""
        super().__pydantic_init_subclass__(**kwargs)
        if "code_size" in cls.model_fields:
            cls.size_setting = "model.code_size"
        elif not hasattr(cls, "code_size"):
            cls.code_size = None  # type: ignore[method-assign, assignment]

    @model_validator(mode="after")
    def one_noise_level(self) -> Self:
        self._need_one_noise_level()
        return self


def plugin_network(name: str) -> type:
    """Return the class of the network that an import path or entry point names.

    Raises PluginError if it cannot be imported, or is no `nn.Module`.
    """
    network = import_plugin(name, NETWORKS)
    torch = sys.modules.get("torch")  # whoever defines a module has imported it; the config does not
    if not (isinstance(network, type) and torch is not None and issubclass(network, torch.nn.Module)):
        raise PluginError(f"{name} must be a class derived from torch.nn.Module, and is {_described(network)}")
    return network


def plugin_section(name: str) -> type[NetworkSettings]:
    """Return the section of a plug-in network: its `Settings`, with `name`. Raises PluginError if it has no valid ones.

    The class is the same for each call, so that equal sections are equal.
    """
    settings = getattr(plugin_network(name), "Settings", NetworkSettings)
    if not (isinstance(settings, type) and issubclass(settings, NetworkSettings)):
        raise PluginError(
            f"{name} must have Settings derived from sweeps.plugins.NetworkSettings, and has {_described(settings)}"
        )
    if "name" in settings.model_fields:
        raise PluginError(f"{name} must not have a setting called name, which is the network's own: rename it")
    return _named(settings, name)


@cache
def _named(settings: type[NetworkSettings], name: str) -> type[NetworkSettings]:
    described = Field(default=name, description="Import path or entry point of the network.")
    fields: Any = {"name": (Literal[name], described)}
    strict = {"extra": "forbid", "frozen": True, "allow_inf_nan": False}
    section = create_model(
        settings.__name__,
        __base__=settings,
        __module__=settings.__module__,
        __doc__=settings.__doc__,
        __cls_kwargs__=strict,
        **fields,
    )
    return cast("type[NetworkSettings]", section)


def _described(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"

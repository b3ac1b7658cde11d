"""The settings and the contract of plug-in data sets. Imports nothing heavy, and a plug-in only when it must."""

import json
from collections.abc import Callable, Mapping
from inspect import isclass, signature
from typing import Any, get_type_hints

from pydantic import BaseModel, Field

from sweeps.datamodules.split_config import SplitConfig
from sweeps.plugin_import import DATA, PluginError, import_plugin, names_plugin


class DataSettings(SplitConfig):
    """The settings of a plug-in data set: subclass it, and add a field for each setting of your own.

    Every data set can be split by `n_train`, `n_valid`, `n_test`, `validate_on` and `seed`. `name` is what the sweep
    file names the plug-in by.
    """

    name: str = Field("", description="The import path of the plug-in, or the name of its entry point.")


class DataPlugins:
    """Marks the `data` section as one whose `name` may name a plug-in."""

    def find(self, name: object) -> type[BaseModel] | None:
        """Return the settings of the plug-in that a name means; None if it means none, or one that cannot be used."""
        if not isinstance(name, str) or not names_plugin(name, DATA):
            return None
        try:
            return settings_class(name)
        except PluginError:
            return None


def settings_class(name: str) -> type[DataSettings]:
    """Return the settings of a plug-in data set: its `Settings`, else the type of its function's only parameter.

    Raises PluginError if it cannot be imported, or does not keep the contract of data plug-ins.
    """
    plugin = import_plugin(name, DATA)
    load = loader_of(name, plugin)
    found = getattr(plugin, "Settings", None) or _parameter_type(name, load) or DataSettings
    if not (isclass(found) and issubclass(found, DataSettings)):
        raise PluginError(
            f"the Settings of {name} must be a subclass of sweeps.plugins.DataSettings, not {found!r}: derive "
            "them from it"
        )
    return found


def checked_settings(name: str, section: Mapping[str, Any]) -> DataSettings:
    """Return the settings of a plug-in that a plain `data` section gives.

    Raises PluginError as `settings_class` does, ValidationError if the section does not fit the plug-in's settings.
    """
    # Through JSON, as a sweep file is: there strict mode reads a list as a tuple and a string as a path.
    return settings_class(name).model_validate_json(json.dumps(section), strict=True)


def loader_of(name: str, plugin: Any) -> Callable[[Any], Any]:
    """Return the function of a plug-in that takes its settings and returns its samples. Raises PluginError."""
    if isclass(plugin):
        if any(base.__name__ == "LightningDataModule" for base in plugin.__mro__):
            raise PluginError(
                f"{name} must return its samples as arrays, and is a LightningDataModule, which yields batches: write "
                "a function that returns sweeps.plugins.Samples of its data sets, as docs/plug-ins.md shows"
            )
        try:
            plugin = plugin()
        except Exception as error:  # code of the user's own may raise anything
            raise PluginError(f"{name} must be created without arguments, and raised {_reason(error)}") from error
    load = getattr(plugin, "load", plugin)
    if not callable(load):
        raise PluginError(
            f"{name} must be a function of its settings, or a class with a method load(settings), not {plugin!r}"
        )
    result: Callable[[Any], Any] = load
    return result


def _parameter_type(name: str, load: Callable[..., Any]) -> Any:
    """Return the annotation of a loader's only parameter; None without one. Raises PluginError for other signatures."""
    try:
        parameters = list(signature(load).parameters.values())
        hints = get_type_hints(load)
    except Exception as error:
        raise PluginError(f"{name} must have a signature that can be read, and raised {_reason(error)}") from error
    if len(parameters) != 1:
        raise PluginError(f"{name} must load by one argument, its settings, and takes {len(parameters)}")
    return hints.get(parameters[0].name)


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())

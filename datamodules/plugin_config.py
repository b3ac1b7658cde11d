"""The settings and the contract of plug-in data sets. Imports nothing heavy, and a plug-in only when it must."""

import json
from collections.abc import Callable, Mapping
from inspect import isclass, signature
from typing import Any, Literal, cast, get_type_hints

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic_core import core_schema

from sweeps.datamodules.split_config import SplitConfig
from sweeps.errors import reason_of
from sweeps.plugin_import import DATA, PluginError, PluginSections, import_plugin


class DataSettings(SplitConfig):
    """The settings of a plug-in data set: subclass it, and add a field for each setting of your own.

    Every data set can be split by `n_train`, `n_valid`, `n_test`, `validate_on` and `seed`. `name` is what the sweep
    file names the plug-in by.
    """

    name: str = Field(default="", description="The import path of the plug-in, or the name of its entry point.")


class DataPlugins(PluginSections):
    """Annotates the `data` section: its `name` may name a plug-in, which is not imported to parse the section."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Leave the validation to the union, which has a section for all plug-ins."""
        return handler(source)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Leave the description to the union."""
        return handler(schema)


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


def named_section(name: str) -> type[DataSettings]:
    """Return the settings of a plug-in with its `name` as their only one, as a kind of `data` section has it."""
    described = Field(default=name, description="The import path of the plug-in, or the name of its entry point.")
    settings, fields = settings_class(name), {"name": (Literal[name], described)}
    section = create_model(settings.__name__, __base__=settings, __doc__=settings.__doc__, **cast("Any", fields))
    return cast("type[DataSettings]", section)


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
            raise PluginError(f"{name} must be created without arguments, and raised {reason_of(error)}") from error
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
        raise PluginError(f"{name} must have a signature that can be read, and raised {reason_of(error)}") from error
    if len(parameters) != 1:
        raise PluginError(f"{name} must load by one argument, its settings, and takes {len(parameters)}")
    return hints.get(parameters[0].name)

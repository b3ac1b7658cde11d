"""Import the plug-ins that a sweep file names: `package.module:Name`, or the name of an entry point.

A plug-in is a network or a data set of the user's own. An installed package can register its plug-ins under a short
name, as entry points of the groups `NETWORKS` and `DATA`. Imports nothing until a sweep file names a plug-in.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, create_model
from pydantic_core import InitErrorDetails, core_schema

from sweeps.errors import reason_of

NETWORKS, DATA = "autoencoder_sweeps.networks", "autoencoder_sweeps.data"

# What pydantic's locations of issues say of the two kinds of sections; no setting can have such a name.
BUILT_IN, PLUG_IN = "<built-in>", "<plug-in>"

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class PluginError(ValueError):
    """A plug-in cannot be imported, or does not keep its contract; the message is one line."""


def names_plugin(name: object, group: str) -> bool:
    """Return whether a section's `name` means a plug-in: an import path, or an entry point of the group."""
    return isinstance(name, str) and (":" in name or name in registered(group))


@cache
def registered(group: str) -> dict[str, EntryPoint]:
    """Return the plug-ins of a group that installed packages register, by name."""
    return {entry.name: entry for entry in entry_points(group=group)}


def import_path(name: str, group: str) -> str:
    """Return the import path of a plug-in that is named by it, or by an entry point of the group."""
    return registered(group)[name].value if ":" not in name and name in registered(group) else name


def split_path(name: str, group: str) -> tuple[str, str]:
    """Return the module of a plug-in and the name in it. Raises PluginError if its import path is malformed."""
    path = import_path(name, group)
    if _PATH.fullmatch(path) is None:
        named_by = "" if path == name else f", which the entry point {name} of the group {group} names: correct it"
        raise PluginError(f"must be an import path such as my_package.networks:MyNetwork, not {path!r}{named_by}")
    module, _, attribute = path.partition(":")
    if module.endswith(".py"):
        raise PluginError(f"must name a module, not its file: write {module.removesuffix('.py')}:{attribute}")
    return module, attribute


def import_plugin(name: str, group: str) -> Any:
    """Return the object that an import path or an entry point of the group names.

    Modules are looked up as `python -m` does, also in the current folder. Raises PluginError if the path is malformed,
    the module does not import, or it has no such name.
    """
    module_name, attribute = split_path(name, group)
    search_current_folder()
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:  # code of the user's own may raise anything
        raise PluginError(
            f"{module_name} must import, and raised {reason_of(error)}: install its package, or run in its folder"
        ) from error
    if not hasattr(module, attribute):
        raise PluginError(f"{module_name} has no {attribute}: correct the name after the colon")
    return getattr(module, attribute)


def search_current_folder() -> None:
    """Let modules in the current folder be imported, after those of installed packages."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


@dataclass(frozen=True)
class PluginSections:
    """Annotates a union of sections, distinguished by `name`, to take those of the group's plug-ins too.

    `built_in` are the sections of the union. `section_of` returns the section of a plug-in by its name in the sweep
    file, or raises PluginError; all such sections derive from `base`.

    A plug-in is imported when its section is parsed. The context of the validation can change that: `without_import`
    keeps the plug-in's own settings as they are, and `only_importing` refuses all plug-ins but those named.
    """

    group: str
    built_in: tuple[type[BaseModel], ...]
    section_of: Callable[[str], type[BaseModel]]
    base: type[BaseModel]

    def find(self, name: object) -> type[BaseModel] | None:
        """Return the section of the plug-in that a name means; None if it means none, or one that cannot be used."""
        if not isinstance(name, str) or not self.is_plugin(name):
            return None
        try:
            return self.section_of(name)
        except PluginError:
            return None

    def is_plugin(self, name: object) -> bool:
        """Return whether a name is not that of a section of the union, and means a plug-in."""
        known = any(section.model_fields["name"].default == name for section in self.built_in)
        return not known and names_plugin(name, self.group)

    def _tag(self, value: Any) -> str:
        is_plugin = isinstance(value, Mapping) and self.is_plugin(value.get("name"))
        return PLUG_IN if is_plugin or isinstance(value, self.base) else BUILT_IN

    def _validated(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        """Return the section of a plug-in; `value` is one already, or a mapping."""
        if isinstance(value, self.base):
            return value
        try:
            section = self._section(value["name"], (info.context or {}).get(_CONTEXT))
        except PluginError as error:
            issue = InitErrorDetails(type="value_error", loc=("name",), input=value["name"], ctx={"error": error})
            raise ValidationError.from_exception_data("plug-in", [issue]) from error
        if info.mode == "json":  # as `config.sections` parses every section: without converting types
            return section.model_validate_json(json.dumps(value), strict=True)
        return section.model_validate(value)

    def _section(self, name: str, allowed: frozenset[str] | None) -> type[BaseModel]:
        """Return the section of a plug-in, imported if that is `allowed`; None allows all."""
        if allowed is _NONE_NEEDED:
            return _unchecked(self.base)
        if allowed is not None and name not in allowed:
            raise NotAllowedPlugin(name)
        return self.section_of(name)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate the sections of plug-ins by their own classes, and all others as the union does."""
        # A tagged union: a function around the union would lose that lists in JSON are tuples.
        plugin = core_schema.with_info_plain_validator_function(self._validated)
        return core_schema.tagged_union_schema(
            {BUILT_IN: handler(source), PLUG_IN: plugin},
            discriminator=self._tag,
            serialization=core_schema.simple_ser_schema("any"),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the union, and a plug-in's section by what all of them share."""
        shared = handler(_unchecked(self.base).__pydantic_core_schema__)
        named: list[dict[str, Any]] = [{"pattern": ":"}]
        if names := sorted(registered(self.group)):
            named.append({"enum": names})
        built_in = schema["choices"][BUILT_IN]
        return {"anyOf": [handler(built_in), {"allOf": [shared, {"properties": {"name": {"anyOf": named}}}]}]}


class NotAllowedPlugin(PluginError):
    """A file from elsewhere names a plug-in that its reader did not ask for."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"must not name the plug-in {name}, whose code would run")


_CONTEXT = "plugins"
_NONE_NEEDED: frozenset[str] = frozenset({""})


def without_import() -> dict[str, Any]:
    """Return the context of a validation that imports no plug-in, and keeps the settings of its own as they are."""
    return {_CONTEXT: _NONE_NEEDED}


def only_importing(*names: str) -> dict[str, Any]:
    """Return the context of a validation that imports the plug-ins with these names, and refuses all others."""
    return {_CONTEXT: frozenset(names)}


@cache
def _unchecked(base: type[BaseModel]) -> type[BaseModel]:
    """Return the section of any plug-in: the settings that all have are checked, and others kept."""
    name = Field(description="Import path or entry point of a plug-in.")
    fields: Any = {"name": (str, name)}
    return create_model(
        f"PlugIn{base.__name__}", __base__=base, __doc__=base.__doc__, __cls_kwargs__={"extra": "allow"}, **fields
    )

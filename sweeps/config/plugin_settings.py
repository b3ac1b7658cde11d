"""The settings of plug-in data sets: checked by the plug-in's own class, where a sweep file is read or written."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError

from sweeps.config.issues import Issue, closest, did_you_mean, issues_of, shown
from sweeps.datamodules.config import NAMES
from sweeps.datamodules.own_data_config import expanded
from sweeps.datamodules.plugin_config import checked_settings, settings_class
from sweeps.plugin_import import DATA, PluginError, names_plugin

_OWN_DATA_PATHS = ("path", "labels_path")
_LISTS = (list, tuple, Sequence)


def data_plugin_issues(data: object, explain_unknown: Any) -> list[Issue]:
    """Return the issues of a `data` section whose name is not built in; a plug-in is imported for it.

    `explain_unknown` returns the message for the dotted path of an unknown setting.
    """
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(name, str) or name in NAMES:
        return []
    if not names_plugin(name, DATA):
        names = ", ".join(sorted(NAMES))
        text = f"must be one of {names}, or the import path of your own such as my_package.data:MyData, not "
        return [Issue("data.name", f"{text}{shown(name)}.{did_you_mean(closest(name, NAMES))}")]
    try:
        checked_settings(name, data)
    except PluginError as error:
        return [Issue("data.name", str(error), ("data",))]
    except ValidationError as error:
        found = issues_of(error, data, lambda path: explain_unknown(f"data.{path}"))
        return [Issue(f"data.{issue.path}" if issue.path else "data", issue.text) for issue in found]
    return []


def path_settings(data: object) -> list[str]:
    """Return the names of the settings of a `data` section that are or hold paths: of a plug-in, by their type."""
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(name, str) or name in NAMES or not names_plugin(name, DATA):
        return list(_OWN_DATA_PATHS)
    try:
        fields = settings_class(name).model_fields
    except PluginError:
        return []
    return [key for key, field in fields.items() if _holds_paths(field.annotation)]


def make_paths_absolute(data: Any) -> None:
    """Resolve the paths of a `data` section, in place, against the current folder: workers run in another one."""
    if isinstance(data, dict):
        data.update(with_paths(data, lambda _setting, path: str(expanded(Path(path)).absolute())))


def with_paths(data: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """Return a `data` section with another path in place of each of its paths.

    `change` gets the dotted name of the setting, such as `files.0` for an item of a list, and the path as written.
    """
    return dict(data) | {key: _changed(key, data[key], change) for key in path_settings(data) if key in data}


def _changed(setting: str, value: Any, change: Callable[[str, str], str]) -> Any:
    if isinstance(value, str):
        return change(setting, value)
    if isinstance(value, list):
        return [_changed(f"{setting}.{place}", item, change) for place, item in enumerate(value)]
    return value


def _holds_paths(annotation: Any) -> bool:
    """Return whether a type is a path, a list or tuple of paths, or a union with one of them."""
    if get_origin(annotation) in (Union, UnionType, Annotated, *_LISTS):
        return any(map(_holds_paths, get_args(annotation)))
    return annotation is Path

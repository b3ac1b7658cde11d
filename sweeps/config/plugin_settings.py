"""The settings of plug-in data sets: checked by the plug-in's own class, where a sweep file is read or written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from sweeps.config.issues import Issue, closest, did_you_mean, issues_of, shown
from sweeps.datamodules.config import NAMES
from sweeps.datamodules.own_data_config import expanded
from sweeps.datamodules.plugin_config import checked_settings, settings_class
from sweeps.plugin_import import DATA, PluginError, names_plugin

_OWN_DATA_PATHS = ("path", "labels_path")


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
    """Return the names of the settings of a `data` section that are paths: those of a plug-in by their type."""
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(name, str) or name in NAMES or not names_plugin(name, DATA):
        return list(_OWN_DATA_PATHS)
    try:
        fields = settings_class(name).model_fields
    except PluginError:
        return []
    return [key for key, field in fields.items() if Path in (field.annotation, *get_args(field.annotation))]


def make_paths_absolute(data: Any) -> None:
    """Resolve the paths of a `data` section, in place, against the current folder: workers run in another one."""
    for key in path_settings(data):
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = str(expanded(Path(data[key])).absolute())

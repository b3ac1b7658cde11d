"""Import the plug-ins that a sweep file names: `package.module:Name`, or the name of an entry point.

A plug-in is a network or a data set of the user's own. An installed package can register its plug-ins under a short
name, as entry points of the groups `NETWORKS` and `DATA`. Imports nothing until a sweep file names a plug-in.
"""

import re
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

NETWORKS, DATA = "autoencoder_sweeps.networks", "autoencoder_sweeps.data"

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


def import_plugin(name: str, group: str) -> Any:
    """Return the object that an import path or an entry point of the group names.

    Modules are looked up as `python -m` does, also in the current folder. Raises PluginError if the path is malformed,
    the module does not import, or it has no such name.
    """
    path = import_path(name, group)
    if _PATH.fullmatch(path) is None:
        raise PluginError(f"must be an import path such as my_package.networks:MyNetwork, not {name!r}")
    module_name, _, attribute = path.partition(":")
    search_current_folder()
    try:
        module = import_module(module_name)
    except Exception as error:  # code of the user's own may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(
            f"{module_name} must import, and raised {reason}: install its package, or run in its folder"
        ) from error
    if not hasattr(module, attribute):
        raise PluginError(f"{module_name} has no {attribute}: correct the name after the colon")
    return getattr(module, attribute)


def search_current_folder() -> None:
    """Let modules in the current folder be imported, after those of installed packages."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)

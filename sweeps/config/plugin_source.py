"""Which plug-ins a sweep names, and the source files that they consist of: to ship them, and to record them."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from sweeps.config.search_space import corners
from sweeps.config.sections import TrialConfig
from sweeps.config.sweep import SweepConfig
from sweeps.datamodules.config import NAMES
from sweeps.errors import ConfigError
from sweeps.models.config import FAMILIES
from sweeps.plugin_import import DATA, NETWORKS, PluginError, names_plugin, search_current_folder, split_path

_FAMILY_NAMES = frozenset(family.model_fields["name"].default for family in FAMILIES)
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class NamedPlugin:
    """A plug-in that a sweep names: `role` is `data` or `model`; more networks of a search are `model_2`, ..."""

    role: str
    name: str
    group: str


@dataclass(frozen=True)
class PluginSource:
    """The code of a plug-in: its top-level package or module, and those beside it that it imports.

    `version` is that of its distribution, None if none is installed. `is_installed` if pip has put the files where they
    are, and not a person.
    """

    name: str
    entries: tuple[Path, ...]
    version: str | None
    is_installed: bool

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield each file with its path below the folder of the top-level modules; no caches, no hidden files."""
        for entry in self.entries:
            for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
                relative = path.relative_to(entry.parent)
                is_hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
                if path.is_file() and not is_hidden and path.suffix != ".pyc":
                    yield relative.as_posix(), path

    def compiled(self) -> list[str]:
        """Return the extension modules, which run only where they were built for."""
        return [name for name, _ in self.files() if name.endswith(tuple(EXTENSION_SUFFIXES))]

    def sha256(self) -> str:
        """Return the SHA-256 of the names and contents of all files that are sent."""
        digest = hashlib.sha256()
        for name, path in self.files():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
            # repr escapes line breaks, so no two sets of files give the same lines.
            digest.update(f"{content.hexdigest()} {name!r}\n".encode())
        return digest.hexdigest()


def plugin_named(role: str, name: str) -> NamedPlugin:
    """Return the plug-in of a role, as `plugins_of` gives it."""
    return NamedPlugin(role, name, DATA if role == "data" else NETWORKS)


def plugins_of(config: SweepConfig) -> list[NamedPlugin]:
    """Return the plug-ins that a sweep names, each once: its data set, and the networks of its trials."""
    data, model = config.data.name, config.model.name
    models = [model, *(corners(config.search["model.name"]) if "model.name" in config.search else ())]
    networks = dict.fromkeys(name for name in models if isinstance(name, str) and name not in _FAMILY_NAMES)
    named = [plugin_named("data", data)] if data not in NAMES else []
    return named + [
        plugin_named("model" if place == 1 else f"model_{place}", name)
        for place, name in enumerate((name for name in networks if names_plugin(name, NETWORKS)), start=1)
    ]


def plugins_at(config: SweepConfig, trial: TrialConfig) -> list[NamedPlugin]:
    """Return the plug-ins of one trial of a sweep: its data set, and its network as `model`."""
    data = [plugin for plugin in plugins_of(config) if plugin.role == "data"]
    name = trial.model.name
    is_plugin = name not in _FAMILY_NAMES and names_plugin(name, NETWORKS)
    return [*data, plugin_named("model", name)] if is_plugin else data


def find_source(plugin: NamedPlugin) -> PluginSource:
    """Return the source of a plug-in, without importing it. Raises PluginError if its module is not found."""
    module, _ = split_path(plugin.name, plugin.group)
    top_level = module.partition(".")[0]
    search_current_folder()
    if top_level == "__main__":
        raise PluginError("a plug-in must be in a module of its own, not in __main__: move it to one")
    spec = find_spec(top_level)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if spec is None or (not folders and not spec.has_location):
        raise PluginError(f"{top_level} must be found, and is not: install its package, or run in its folder")
    own = Path(folders[0] if folders else str(spec.origin)).absolute()
    is_installed = any(part in _INSTALLED for part in own.parts)
    if not is_installed:
        _check_packages(module, own)
    beside = () if is_installed else _imported_beside(module, own)
    distributions = packages_distributions().get(top_level, ())
    return PluginSource(plugin.name, (own, *beside), version(distributions[0]) if distributions else None, is_installed)


def source_of(plugin: NamedPlugin) -> PluginSource:
    """Return the source of a plug-in that a sweep names. Raises ConfigError if its module is not found."""
    try:
        return find_source(plugin)
    except PluginError as error:
        raise ConfigError(f"{plugin.role.partition('_')[0]}.name: {error}") from error


def _check_packages(module: str, own: Path) -> None:
    """Raise PluginError for a folder of a plug-in that is no package: it would not be found among what is sent."""
    parts = module.split(".")
    for n_parts in range(1, len(parts) + 1):
        folder = own.parent.joinpath(*parts[:n_parts])
        if folder.is_dir() and not ((folder / "__init__.py").exists() or folder.with_suffix(".py").exists()):
            raise PluginError(f"{'.'.join(parts[:n_parts])} must be a package, and has no __init__.py: add one")


class _PackageFinder(ModuleFinder):
    """Finds what a module imports, but no folders without `__init__.py`, for which ModuleFinder fails."""

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:
        """Return where a module is. Raises ImportError."""
        PathFinder.invalidate_caches()
        spec = PathFinder.find_spec(name, self.path if path is None else path)
        if spec is not None and spec.loader is None:
            raise ImportError(f"{name} has no __init__.py", name=name)
        return super().find_module(name, path, parent)


def _imported_beside(module: str, own: Path) -> Iterator[Path]:
    """Yield the other top-level packages and modules of the same folder that a module imports, also indirectly."""
    finder = _PackageFinder(path=[str(own.parent)], excludes=["sweeps"])
    try:
        finder.import_hook(module)
    except (ImportError, SyntaxError) as error:
        raise PluginError(f"{module} must import, and raised {type(error).__name__}: {error}: correct it") from error
    files = {name: getattr(found, "__file__", None) for name, found in finder.modules.items() if "." not in name}
    for name in sorted(files.keys() - {own.stem, *sys.stdlib_module_names}):
        if (file := files[name]) is not None:
            yield Path(file).parent if Path(file).stem == "__init__" else Path(file)

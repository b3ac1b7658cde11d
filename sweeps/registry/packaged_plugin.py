"""The plug-in network of a packaged model: what it is at its promotion, and whether its code may be imported later.

Files of a version may name any module as their plug-in, and importing it runs its code. So nothing is imported unless
the files are known, or the user names the plug-in; and only if its source is the one that was promoted. The code is
always that of an installed package, or of the current folder: a version contains none.
"""

from collections.abc import Mapping, Sequence

from sweeps.config.plugin_source import find_source, plugin_named, source_of
from sweeps.errors import InputError
from sweeps.models.config import ModelConfig, NetworkSettings
from sweeps.plugin_import import NETWORKS, PluginError, import_path
from sweeps.registry.package_settings import PluginSettings
from sweeps.tracking.plugin_tags import recorded_plugins


def plugin_of(model: ModelConfig) -> PluginSettings | None:
    """Return the plug-in that a section names, with its source as it is here and now; None if it names none.

    Raises ConfigError if its module is not found.
    """
    if not isinstance(model, NetworkSettings):
        return None
    source = source_of(plugin_named("model", model.name))
    return PluginSettings(name=model.name, path=import_path(model.name, NETWORKS), sha256=source.sha256())


def changed_since(plugin: PluginSettings, tags: Mapping[str, str]) -> str | None:
    """Return a line that says that a plug-in's source is not the one in a run's tags; None if it is, or none is known.

    Its gates measure what the source computes now.
    """
    recorded = [known.get("sha256") for known in recorded_plugins(tags).values() if known.get("name") == plugin.name]
    if plugin.sha256 in recorded or not any(recorded):
        return None
    return (
        f"the source of the plug-in {plugin.name} has changed since the trial was trained: the gates judge what it "
        "computes now"
    )


def check_plugin(plugin: PluginSettings, *, is_known: bool, named: Sequence[str] = ()) -> None:
    """Raise InputError unless the code of a packaged model's plug-in may be imported. Imports nothing.

    `is_known` says that the files that name the plug-in have a SHA-256 that the user trusts; `named` are the plug-ins
    that the user allows for any files, by name or import path.
    """
    if not is_known and plugin.name not in named and plugin.path not in named:
        raise InputError(
            f"the model's network is the plug-in {plugin.name}, and its code is imported only if this SWEEPS_HOME has "
            "promoted the version, or if you allow it: pass --plugin with its name, or to `sweeps score` the SHA-256 "
            "of the version's files by --sha256 (`sweeps promote --json` printed it as package_sha256)"
        )
    path = import_path(plugin.name, NETWORKS)
    if path != plugin.path:
        raise InputError(
            f"the plug-in {plugin.name} must be {plugin.path}, as when the model was promoted, and is {path} here: "
            "install the package that registers it"
        )
    try:
        found = find_source(plugin_named("model", plugin.name)).sha256()
    except PluginError as error:
        raise InputError(f"the model's network is the plug-in {plugin.name}: {error}") from error
    if found != plugin.sha256:
        raise InputError(
            f"the source of the plug-in {plugin.name} must be the one that was promoted (SHA-256 {plugin.sha256}), "
            f"and is another here ({found}), which may compute something else: install the promoted version, or "
            "promote the trial again with this one"
        )

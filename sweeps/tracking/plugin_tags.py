"""The plug-ins of a sweep as tags of its runs: what each is called, its version, its source, and its commit."""

import logging
from collections.abc import Mapping, Sequence

from sweeps.config import SweepConfig
from sweeps.config.plugin_source import NamedPlugin, plugins_of, source_of
from sweeps.plugin_import import import_path
from sweeps.tracking.mlflow.run_metadata import code_state

PREFIX = "sweeps.plugin."
_SHOWN_DIGITS = 12


def plugin_tags(config: SweepConfig) -> dict[str, str]:
    """Return the tags of all plug-ins that a sweep names, such as `sweeps.plugin.data.sha256`.

    Raises ConfigError if the module of one is not found.
    """
    return tags_of(plugins_of(config))


def tags_of(plugins: Sequence[NamedPlugin]) -> dict[str, str]:
    """Return the tags of plug-ins. Raises ConfigError if the module of one is not found."""
    tags: dict[str, str] = {}
    for plugin in plugins:
        tags |= _tags(plugin)
    return tags


def changed_plugin_tags(before: Mapping[str, str], config: SweepConfig) -> dict[str, str]:
    """Return the plug-in tags of a sweep that is resumed; log a warning for each plug-in whose source has changed.

    `before` are the tags at its last start. A tag `.changed` keeps the checksums, the newest last.
    """
    tags = plugin_tags(config)
    for plugin in plugins_of(config):
        key = f"{PREFIX}{plugin.role}"
        old, new = before.get(f"{key}.sha256"), tags[f"{key}.sha256"]
        if old is None or old == new:
            continue
        logging.getLogger(__name__).warning(
            "The source of the plug-in %s has changed since the sweep last ran: its trials before and after may differ",
            plugin.name,
        )
        # What its commit and version were is no longer true.
        tags = {f"{key}.commit": "", f"{key}.version": "", f"{key}.dirty": ""} | tags
        tags[f"{key}.changed"] = f"{before.get(f'{key}.changed') or old[:_SHOWN_DIGITS]} -> {new[:_SHOWN_DIGITS]}"
    return {name: value for name, value in tags.items() if value or name in before}


def recorded_plugins(tags: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the plug-ins that a run's tags record, by role, for JSON output: `{"data": {"name": ...}}`."""
    found: dict[str, dict[str, str]] = {}
    for name, value in tags.items():
        if name.startswith(PREFIX) and value:
            role, _, key = name.removeprefix(PREFIX).partition(".")
            found.setdefault(role, {})[key or "name"] = value
    return found


def plugin_lines(tags: Mapping[str, str]) -> list[str]:
    """Return a line for each plug-in that a run's tags record."""
    return [_line(role, known) for role, known in sorted(recorded_plugins(tags).items())]


def _line(role: str, known: Mapping[str, str]) -> str:
    parts = [f"{role} plug-in {known.get('name', '')}"]
    parts += [f"{key} {known[key][:_SHOWN_DIGITS]}" for key in ("version", "commit", "sha256") if key in known]
    parts += ["with changes that are not committed"] if known.get("dirty") == "true" else []
    parts += ["changed while the sweep was stopped"] if "changed" in known else []
    return ", ".join(parts)


def _tags(plugin: NamedPlugin) -> dict[str, str]:
    key = f"{PREFIX}{plugin.role}"
    source = source_of(plugin)
    path = import_path(plugin.name, plugin.group)
    tags = {key: plugin.name, f"{key}.sha256": source.sha256()}
    tags |= {f"{key}.path": path} if path != plugin.name else {}
    tags |= {f"{key}.version": source.version} if source.version else {}
    own = source.entries[0]
    state = code_state(own / "__init__.py" if own.is_dir() else own)
    if state is not None:
        tags |= {f"{key}.commit": state[0], f"{key}.dirty": str(state[1]).lower()}
    return tags

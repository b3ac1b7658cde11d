"""Settings by their dotted paths, such as `model.noise.level`: list them, suggest one, and assign to one."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sweeps.config.issues import closest, did_you_mean, shown
from sweeps.plugin_import import PluginSections

# No setting has more: those of `data.rows` have 4.
MAX_PARTS = 10
# Of the number of a list entry.
_MAX_DIGITS = 9


def settings(section: type[BaseModel], document: object = None, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of all settings and sections below `section`.

    If a section has several kinds, with different `name`s, these are the settings of the kind that `document` names, or
    of all kinds if it names none.
    """
    values = document if isinstance(document, Mapping) else {}
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        for part in chosen_sections(field, values.get(name)):
            yield from settings(part, values.get(name), f"{prefix}{name}.")


def not_a_setting(path: str, section: type[BaseModel], document: object) -> str:
    """Return why `path` is no setting of `section` in this `document`, with the most similar setting."""
    if too_long := why_too_long(path):
        return too_long
    for kind, others in _other_kinds(path, section, document).items():
        head = path.partition(".")[0]
        remedy = f"remove it, or set {head}.name to {' or '.join(others)}"
        return f"is a setting of {' and '.join(others)} only, and {head}.name is {kind}: {remedy}"
    known = list(dict.fromkeys(settings(section, document)))
    parent = path.rpartition(".")[0]
    while parent and parent not in known:
        parent = parent.rpartition(".")[0]
    prefix = f"{parent}." if parent else ""
    beside = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    if not beside:
        return f"is not a setting: {parent} is a value, not a section"
    meant = _closest_setting(path, known)
    if meant is not None:
        return f"is not a setting.{did_you_mean(meant)}"
    names = ", ".join(name for name in beside if "." not in name)
    return f"is not a setting. {f'{parent} has' if parent else 'There are'} {names}"


def why_too_long(path: str) -> str:
    """Return why a dotted path must not be followed part by part; an empty string if it has no more than a setting."""
    n_parts = path.count(".") + 1
    if n_parts <= MAX_PARTS:
        return ""
    return f"has {n_parts:,} parts, and no setting has more than {MAX_PARTS}: correct the path"


def sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a field with this annotation may hold, without those of plug-ins."""
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if is_section and annotation.model_config.get("extra") != "allow":
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)


def chosen_sections(field: FieldInfo, document: object) -> list[type[BaseModel]]:
    """Return the sections that a field may hold: that of the kind or plug-in that `document` names, else all."""
    sections = list(dict.fromkeys(sections_in(field.annotation)))
    name = document.get("name") if isinstance(document, Mapping) else None
    for plugins in plugin_sections_of(field):
        if (section := plugins.find(name)) is not None:
            return [section]
    return [part for part in sections if kind_of(part) == name] or sections


def plugin_sections_of(field: FieldInfo) -> list[PluginSections]:
    """Return what a field says of plug-ins whose sections it may hold; empty if it takes none."""
    return [part for part in field.metadata if isinstance(part, PluginSections)]


def kind_of(section: type[BaseModel]) -> str | None:
    """Return the `name` of a kind of section; None for a section without kinds."""
    field = section.model_fields.get("name")
    names = get_args(field.annotation) if field is not None else ()
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None


def assign(document: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path of a nested document, in place; ValueError if the path leads through a value."""
    *sections, last = path.split(".")
    here: Any = document
    for depth, part in enumerate(sections, start=1):
        here = _below(here, part, ".".join(sections[:depth]))
    if isinstance(here, list):
        here[_list_index(here, last, path)] = value
    else:
        here[last] = value


def with_values(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a nested document that has each value at its dotted path."""
    changed = copy.deepcopy(dict(document))
    for path, value in values.items():
        assign(changed, path, value)
    return changed


def _closest_setting(path: str, known: Sequence[str]) -> str | None:
    """The setting that a wrong path means: a sibling, one with the same name elsewhere, or a very similar path."""
    parent, _, last = path.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == parent]
    meant = closest(last, [name.rpartition(".")[2] for name in beside])
    if meant is not None:
        return f"{parent}.{meant}" if parent else meant
    elsewhere = [name for name in known if name.rpartition(".")[2] == last]
    return elsewhere[0] if elsewhere else closest(path, known, similarity=0.85)


def _other_kinds(path: str, section: type[BaseModel], document: object) -> dict[str, list[str]]:
    """The kinds that have the setting, by the chosen kind, if that lacks the setting; empty if no kind has it."""
    head, _, rest = path.partition(".")
    field = section.model_fields.get(head)
    values = document.get(head) if isinstance(document, Mapping) else None
    if field is None or not isinstance(values, Mapping):
        return {}
    kind = values.get("name", getattr(field.default, "name", None))
    if not isinstance(kind, str):
        return {}
    kinds = [kind_of(part) for part in sections_in(field.annotation) if rest in settings(part)]
    names = [name for name in kinds if name is not None]
    return {kind: names} if names and kind not in names else {}


def _below(here: Any, part: str, path: str) -> Any:
    """The section named `part`, created if it is missing."""
    if isinstance(here, list):
        found = here[_list_index(here, part, path)]
    else:
        found = here.get(part)
        if found is None:
            found = here[part] = {}
    if not isinstance(found, (dict, list)):
        raise ValueError(f"{path} is the value {shown(found)}, and has no settings below it")
    return found


def _list_index(values: Sequence[Any], part: str, path: str) -> int:
    if not part.isdecimal() or len(part) > _MAX_DIGITS or int(part) >= len(values):
        raise ValueError(f"{path} must name one of {len(values)} list entries by its number, counted from 0")
    return int(part)

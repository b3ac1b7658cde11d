"""What a sweep file's settings mean: for each its description, type, range, default and an example.

All of it comes from the sections themselves, so nothing here names a setting.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sweeps.config.dotted_paths import (
    chosen_sections,
    kind_of,
    not_a_setting,
    plugin_sections_of,
    sections_in,
    why_too_long,
    with_values,
)
from sweeps.config.sections import try_parse
from sweeps.config.setting import Explanation, Setting
from sweeps.config.sweep import SweepConfig
from sweeps.config.value_schema import examples, range_in_words, resolve, type_in_words
from sweeps.errors import ConfigError

# With the section of a setting, a sweep file in which an example can be checked.
_SMALLEST = {"data": {"name": "digits"}, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}}


@dataclass(frozen=True)
class _Place:
    """A field of a section; `head` is the section at the top that contains it, if that may be of several kinds.

    `value` is what a sweep file has there, if anything.
    """

    section: type[BaseModel]
    name: str
    head: type[BaseModel] | None = None
    value: object = None

    @property
    def head_kind(self) -> str | None:
        return None if self.head is None else kind_of(self.head)

    @property
    def sections(self) -> list[type[BaseModel]]:
        """The sections that may stand here: in a sweep file that names a kind, that one."""
        return chosen_sections(self.field, self.value)

    @property
    def field(self) -> FieldInfo:
        return self.section.model_fields[self.name]


def explain(path: str, document: Mapping[str, Any] | None = None) -> Explanation:
    """Return what a dotted path means; ConfigError, with the most similar path, if it is no setting.

    `document` is a sweep file: its kinds of sections, and its plug-ins, then are the only ones.
    """
    document = document or {}
    if too_long := why_too_long(path):
        raise ConfigError(f"{path[:60]}... {too_long}")
    places = _places(path, document)
    if not places:
        raise ConfigError(f"{path} {not_a_setting(path, SweepConfig, document)}")
    sections = list(dict.fromkeys(section for place in places for section in place.sections))
    kinds = {kind: _summary(section) for section in sections if (kind := kind_of(section)) is not None}
    names = dict.fromkeys(name for section in sections for name in section.model_fields)
    below = [meaning for name in names for meaning in _meanings(f"{path}.{name}", document)]
    return Explanation(path, tuple(_meanings(path, document)), kinds, tuple(below))


def explain_sections() -> list[Setting]:
    """Return every section and setting at the top of a sweep file."""
    return [meaning for name in SweepConfig.model_fields for meaning in _meanings(name, {})]


def _places(path: str, document: Mapping[str, Any] = MappingProxyType({})) -> list[_Place]:
    """Every field that a dotted path may mean, one for each kind of its section."""
    first, *rest = path.split(".")
    known = first in SweepConfig.model_fields
    places = [_Place(SweepConfig, first, value=document.get(first))] if known else []
    for name in rest:
        places = [
            _Place(section, name, place.head or (section if kind_of(section) else None), _below(place.value, name))
            for place in places
            for section in place.sections
            if name in section.model_fields
        ]
    return places


def _below(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _meanings(path: str, document: Mapping[str, Any]) -> list[Setting]:
    """What a path means, once for all kinds of its section for which it means the same."""
    places = _places(path, document)
    all_kinds = [kind for section in _head_sections(path, document) if (kind := kind_of(section)) is not None]
    if path.endswith(".name") and all_kinds == [place.head_kind for place in places]:
        return [_choice_of_kind(path, document)]
    alike: dict[str, list[_Place]] = {}
    for place in places:
        alike.setdefault(repr(_setting(path, place)), []).append(place)
    return [_meaning(path, same, all_kinds) for same in alike.values()]


def _meaning(path: str, places: Sequence[_Place], all_kinds: Sequence[str]) -> Setting:
    """What a path means in all these places, with an example for the usual kind of the section if it is among them."""
    kinds = tuple(kind for kind in all_kinds if kind in [place.head_kind for place in places])
    setting = _setting(path, places[0])
    usual = _SMALLEST.get(path.partition(".")[0], {}).get("name")
    place = next((place for place in places if place.head_kind == usual), places[0])
    chosen = {} if len(kinds) == len(all_kinds) else {f"{path.partition('.')[0]}.name": place.head_kind}
    return _with_example(replace(setting, kinds=kinds if chosen else (), beside=chosen), place)


def _choice_of_kind(path: str, document: Mapping[str, Any]) -> Setting:
    """The setting that chooses between the kinds of a section, and plug-ins if it takes any."""
    info = SweepConfig.model_fields[path.removesuffix(".name")]
    section, *_ = _head_sections(path, document)
    kinds = [kind for part in sections_in(info.annotation) if (kind := kind_of(part)) is not None]
    default = None if info.is_required() else info.get_default().name
    plugin = ", or the import path or entry point of a plug-in" if plugin_sections_of(info) else ""
    return Setting(
        path=path,
        description=section.model_fields["name"].description or "",
        type=f"one of {', '.join(kinds)}{plugin}",
        range=None,
        required=info.is_required(),
        default=default,
        example=next(kind for kind in kinds if kind != default),
    )


def _head_sections(path: str, document: Mapping[str, Any] = MappingProxyType({})) -> list[type[BaseModel]]:
    head, _, rest = path.partition(".")
    return chosen_sections(SweepConfig.model_fields[head], document.get(head)) if rest else []


def _setting(path: str, place: _Place) -> Setting:
    schema = _schema(place)
    return Setting(
        path=path,
        description=place.field.description or "",
        type=type_in_words(schema),
        range=range_in_words(schema),
        required=place.field.is_required(),
        default=_default(place),
    )


def _schema(place: _Place) -> Mapping[str, Any]:
    whole = _section_schema(place.section)
    return resolve(whole["properties"][place.name], whole.get("$defs", {}))


@functools.cache
def _section_schema(section: type[BaseModel]) -> Mapping[str, Any]:
    return section.model_json_schema()


def _default(place: _Place) -> Any:
    """The default as a plain value; None if there is none, or if it follows from other settings."""
    follows = place.field.default_factory_takes_validated_data
    default = None if follows else place.field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return None
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json")
    return list(default) if isinstance(default, tuple) else default


def _with_example(setting: Setting, place: _Place) -> Setting:
    """Return a setting with a value that a sweep file may have at its path."""
    if setting.path in _SMALLEST and place.value is None:
        return replace(setting, example=_SMALLEST[setting.path])
    if sections := place.sections:
        return replace(setting, example=_section_example(sections[-1]))
    candidates = list(examples(_schema(place), place.name, setting.default))
    others = [value for value in candidates if value != setting.default]
    for value in others:
        if _is_valid(setting, place, {setting.path: value}):
            return replace(setting, example=value)
    for path, chosen in _choices_beside(setting, place):
        for value in others[:3]:
            if _is_valid(setting, place, {path: chosen, setting.path: value}):
                return replace(setting, example=value, beside={**setting.beside, path: chosen})
    return replace(setting, example=candidates[-1] if setting.default is None else setting.default)


def _choices_beside(setting: Setting, place: _Place) -> Iterator[tuple[str, Any]]:
    """Yield the values of the choices in the same section, which may allow other values of this setting."""
    parent = setting.path.rpartition(".")[0]
    for name in place.section.model_fields:
        if name not in (place.name, "name") and parent:
            for value in _schema(replace(place, name=name)).get("enum", ()):
                yield f"{parent}.{name}", value


def _section_example(section: type[BaseModel]) -> dict[str, Any]:
    """The required settings of a section, or else its first."""
    required = [name for name, info in section.model_fields.items() if info.is_required() or name == "name"]
    names = required or list(section.model_fields)[:1]
    return {name: _first_example(_Place(section, name)) for name in names}


def _first_example(place: _Place) -> Any:
    return next(examples(_schema(place), place.name, _default(place)))


def _is_valid(setting: Setting, place: _Place, values: Mapping[str, Any]) -> bool:
    """Whether a small sweep file with these values, the setting's among them, is valid."""
    document: dict[str, Any] = {"name": "example"} | _SMALLEST
    if place.head is not None:
        document[setting.path.partition(".")[0]] = _section_example(place.head) | {"name": place.head_kind}
    return not try_parse(SweepConfig, with_values(document, values))[1]


def _summary(section: type[BaseModel]) -> str:
    """The first sentence of a section's description."""
    paragraph = " ".join((section.__doc__ or "").partition("\n\n")[0].split())
    return re.split(r"\. (?=[A-Z])", paragraph)[0].removesuffix(".")

"""Settings written in Python as the plain values of a sweep file: sections, tuples, paths and NumPy's numbers."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import BaseModel

from sweeps.config.dotted_paths import kind_of
from sweeps.config.issues import MAX_ISSUES, Issue, shown
from sweeps.config.plain_yaml import MAX_DEPTH, MAX_VALUES
from sweeps.config.search_space import Choices, Interval, written
from sweeps.errors import ConfigError

_PLAIN = "text, a number, True, False, None, a list or a dict"


def plain_document(settings: Mapping[str, Any], source: str = "") -> dict[str, Any]:
    """Return settings as a sweep file has them; ConfigError with a line for each value that no file can have.

    A tuple or a range becomes a list, a path becomes text, a NumPy number or array becomes a number or a list, and a
    section such as `ShallowConfig(hidden_size=32)` becomes a dict of the settings that were given. `source` begins each
    line.
    """
    reading = _Reading()
    plain = reading.plain(settings, "")
    if reading.issues:
        raise ConfigError([f"{source}{issue}" for issue in reading.issues[:MAX_ISSUES]])
    assert isinstance(plain, dict)
    return plain


@dataclass
class _Reading:
    """Values read so far, and what is wrong with them; the limits are those of a sweep file."""

    issues: list[Issue] = field(default_factory=list)
    n_values: int = 0

    def plain(self, value: Any, path: str, depth: int = 0) -> Any:
        """Return the plain form of a value; None, and an issue, if it has none."""
        self.n_values += 1
        if self.n_values > MAX_VALUES:
            raise ConfigError(f"a sweep must have at most {MAX_VALUES:,} values, and {path} exceeds that: shorten it")
        if depth > MAX_DEPTH:
            return self._refuse(path, f"is nested too deeply, on more than {MAX_DEPTH} levels: flatten it")
        if value is None or isinstance(value, bool):
            return value
        if (inner := _unwrapped(value)) is not value:
            return self.plain(inner, path, depth)
        for kind in (str, int, float):  # also their subclasses, such as numpy.float64
            if isinstance(value, kind):
                return kind(value)
        if isinstance(value, Mapping):
            return {str(key): self.plain(item, _below(path, key), depth + 1) for key, item in self._named(value, path)}
        if isinstance(value, list | tuple | range):
            return [self.plain(item, _below(path, index), depth + 1) for index, item in enumerate(value)]
        return self._refuse(path, _refusal(value))

    def _named(self, value: Mapping[Any, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, item in value.items():
            if isinstance(key, str):
                yield key, item
            else:
                self._refuse(path, f"must have names as keys, not {shown(key)}: put it in quotes")

    def _refuse(self, path: str, text: str) -> None:
        self.issues.append(Issue(path, text))


def _below(path: str, part: object) -> str:
    return f"{path}.{part}" if path else str(part)


def _unwrapped(value: Any) -> Any:
    """Return what a section, a range, a path, an enum or a NumPy value holds; any other value as it is."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Interval | Choices):
        return written(value)
    if isinstance(value, BaseModel):
        return _given(value)
    unpack = _numpy_values(value)
    return value if unpack is None else unpack()


def _numpy_values(value: Any) -> Callable[[], Any] | None:
    """Return the method that returns a NumPy scalar or array as Python's own values; None for anything else.

    NumPy itself is not imported. An array of objects, and a scalar wider than Python's, have no plain values.
    """
    if type(value).__module__ != "numpy" or not hasattr(value, "dtype") or value.dtype.kind not in "biufU":
        return None
    unpacked: Callable[[], Any] = value.tolist
    return None if value.dtype.kind == "f" and value.dtype.itemsize > 8 else unpacked


def _given(section: BaseModel) -> dict[str, Any]:
    """Return the settings of a section that were given, and its name if it is one of several kinds.

    Those of a plug-in's own are extras of a section that was read without the plug-in.
    """
    given = {name: getattr(section, name) for name in type(section).model_fields if name in section.model_fields_set}
    given |= section.model_extra or {}
    return given if kind_of(type(section)) is None else {"name": getattr(section, "name", None)} | given


def _refusal(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return f"must be a list, not the set {shown(sorted(map(repr, value)))}, which has no order: write a list"
    kind = type(value).__name__
    return f"must be {_PLAIN}, not {shown(repr(value))} of type {kind}: convert it"

"""A setting of a sweep file as it is explained, and its example as a file and the command line have it."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from sweeps.config.dotted_paths import with_values


@dataclass(frozen=True)
class Setting:
    """A setting, or a section, of a sweep file.

    `kinds` are the names of its section for which this holds; empty if it holds for all. `default` is None without one.
    `example` is a value, which is valid together with the settings in `beside`.
    """

    path: str
    description: str
    type: str
    range: str | None
    required: bool
    default: Any
    example: Any = None
    beside: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()

    def in_file(self) -> str:
        """Return the example as a sweep file has it: one line of YAML."""
        return _flow(with_values({}, {**self.beside, self.path: self.example}))[1:-1]

    def on_command_line(self) -> str:
        """Return the example as options of `sweeps run`, for a sweep file whose section is of one of the `kinds`."""
        kind = f"{self.path.partition('.')[0]}.name"
        values = {path: value for path, value in self.beside.items() if path != kind} | {self.path: self.example}
        return " ".join(f"--set {shlex.quote(f'{path}={_flow(value)}')}" for path, value in values.items())


@dataclass(frozen=True)
class Explanation:
    """What one path means: a setting, once for each kind of section where it differs, or a section with its settings.

    `kinds` has, for a section of several kinds, the first line about each, by name.
    """

    path: str
    meanings: tuple[Setting, ...]
    kinds: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values."""
        return asdict(self)


def _flow(value: Any) -> str:
    """A value as one line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()

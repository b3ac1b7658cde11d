"""A section built in Python, such as `TrainingConfig(epochs=5)`: the types and messages of a sweep file.

`sweeps.config` imports this module, which then checks every section: the base class lies below and imports nothing from
here.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from sweeps.config.python_values import plain_document
from sweeps.config.sections import try_parse
from sweeps.errors import ConfigError
from sweeps.section import Section


def read_settings(section: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a section as a sweep file's are read; ConfigError has a line for each issue."""
    parsed, issues = try_parse(section, plain_document(given, f"{section.__name__}: "))
    if parsed is None:
        raise ConfigError([f"{section.__name__}: {issue}" for issue in issues])
    return {name: getattr(parsed, name) for name in parsed.model_fields_set}


Section.read_settings = staticmethod(read_settings)

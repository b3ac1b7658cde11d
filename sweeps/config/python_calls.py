"""A section built in Python, such as `TrainingConfig(epochs=5)`: the types and messages of a sweep file.

The base classes of sections call these functions by name: `models` and `datamodules` import nothing from here.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import BaseModel

from sweeps.config.python_values import plain_document
from sweeps.config.sections import try_parse
from sweeps.errors import ConfigError


def read_settings(section: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a section as a sweep file's are read; ConfigError has a line for each issue."""
    parsed, issues = try_parse(section, plain_document(given, f"{section.__name__}: "))
    if parsed is None:
        raise ConfigError([f"{section.__name__}: {issue}" for issue in issues])
    return {name: getattr(parsed, name) for name in parsed.model_fields_set}


def refuse_assignment(section: type[BaseModel], name: str) -> NoReturn:
    """Raise ConfigError: settings do not change."""
    raise ConfigError(
        f"{section.__name__}.{name} must not be assigned, as settings do not change: give new values as dotted "
        'paths, such as sweeps.load("quickstart", {"training.epochs": 3}) or sweeps.run(config, {"training.epochs": 3})'
    )

"""The base class of the sections of a sweep file, for `config`, `models` and `datamodules` alike."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict

from sweeps.errors import ConfigError


class Section(BaseModel):
    """A part of the config: unknown keys are rejected, values are immutable.

    `read_settings` takes a section and the settings that Python code gives it, and returns them checked as those of a
    sweep file; `config.python_calls` sets it when it is imported. Without it, pydantic checks them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    read_settings: ClassVar[Callable[[type[BaseModel], Mapping[str, Any]], dict[str, Any]] | None] = None

    if not TYPE_CHECKING:  # A type checker reads the settings of each section.

        def __init__(self, /, **settings: Any) -> None:
            read = Section.read_settings
            if read is not None and (
                settings or any(field.is_required() for field in type(self).model_fields.values())
            ):
                settings = read(type(self), settings)
            super().__init__(**settings)

        # Only calls of the class run it, and no parsing: a file is checked as a whole.
        __init__.__pydantic_base_init__ = True

        def __setattr__(self, name: str, value: Any) -> NoReturn:
            raise ConfigError(
                f"{type(self).__name__}.{name} must not be assigned, as settings do not change: give new values as "
                'dotted paths, such as sweeps.load("quickstart", {"training.epochs": 3}) or '
                'sweeps.run(config, {"training.epochs": 3})'
            )

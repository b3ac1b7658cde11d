"""Sections of several kinds that a sweep file chooses between by `name`, with a default kind."""

from collections.abc import Mapping
from typing import Any

from pydantic import Discriminator


def by_name(default: str) -> Discriminator:
    """Return the discriminator of a union of tagged sections; a section without a `name` is of the `default` kind."""

    def tag(section: Any) -> str:
        values = section if isinstance(section, Mapping) else {"name": getattr(section, "name", default)}
        name = values.get("name", default)
        return name if isinstance(name, str) else repr(name)

    return Discriminator(tag)

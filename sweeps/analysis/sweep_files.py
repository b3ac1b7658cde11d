"""Sweep files made from another sweep's config."""

from collections.abc import Mapping
from typing import Any

# As long as `SweepConfig.name` may be.
_MAX_NAME = 64


def renamed(document: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    """Return a sweep's document with a suffix after its name, shortened where that makes it too long."""
    name = str(document["name"]).removesuffix(suffix)
    return {**document, "name": f"{name[: _MAX_NAME - len(suffix)]}{suffix}"}

"""The settings of a document that are valid, for checks that still make sense beside invalid ones."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.config.issues import Issue


def without(document: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return a copy of the document without the settings at `paths`, or the lists that hold them.

    A section whose `name` is invalid is left out: it is not known which settings it has.
    """
    valid = copy.deepcopy(dict(document))
    for path in paths:
        section, _, rest = path.partition(".")
        parts = [section, rest] if section == "search" and rest else path.removesuffix(".name").split(".")
        here: Any = valid
        for part in parts[:-1]:
            if not isinstance(here.get(part), dict):
                here.pop(part, None)
                break
            here = here[part]
        else:
            here.pop(parts[-1], None)
    return valid


def concerns(issue: Issue, paths: Sequence[str]) -> bool:
    """Return whether an issue is about a setting at one of `paths`, or above or below one."""
    concerned = [f"{path}." for path in (issue.path, *issue.concerns) if path]
    return any(path.startswith(f"{other}.") or f"{other}.".startswith(path) for path in concerned for other in paths)

"""The names that the registry takes, and that of the person who asks."""

import getpass
import os
import platform
import re

from sweeps.errors import InputError

# Set where a command is given on a cluster, for somebody elsewhere: who that is.
ASKED_BY = "SWEEPS_ASKED_BY"


def check_names(model: str, alias: str) -> None:
    """InputError, with a line for each, unless both are names that MLflow takes and that a filter can hold."""
    issues = []
    if not re.fullmatch(r"[A-Za-z0-9][\w .-]{0,99}", model, re.ASCII):
        issues.append(f"a model's name must be up to 100 letters, digits, '-', '_', '.' and spaces, not {model!r}")
    if not re.fullmatch(r"[A-Za-z][\w-]{0,49}", alias, re.ASCII) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        issues.append(
            f"an alias must be up to 50 letters, digits, '-' and '_', and neither latest nor a version, not {alias!r}"
        )
    if issues:
        raise InputError(issues)


def who() -> str:
    """The person and host on whose behalf this process works."""
    if asked_by := os.environ.get(ASKED_BY):
        return asked_by
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # A container's user id may have no name.
        return f"unknown@{platform.node()}"

"""The names that the registry accepts, and the name of the current user."""

import getpass
import os
import platform
import re

from sweeps.errors import InputError

# Set in a command that runs on a cluster for a user of another machine: that user.
ASKED_BY = "SWEEPS_ASKED_BY"


def check_names(model: str, alias: str) -> None:
    """Raise InputError, one line per issue, unless MLflow accepts both names and a search filter can hold them."""
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
    """Return USER@HOST of the person that this process works for."""
    if asked_by := os.environ.get(ASKED_BY):
        return asked_by
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # A container's user id may have no name
        return f"unknown@{platform.node()}"

"""The names that the registry accepts, and the person that a command works for."""

import os
import re

from sweeps.errors import InputError
from sweeps.tracking.person import Person, Source, cleaned, current_person

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


def who(uri: str) -> Person:
    """Return the person that this process works for, who uses the MLflow store at `uri`.

    On a cluster, that is who asked for the command: a claim, made through the account that the cluster has in MLflow.
    Raises TrackingError if the server does not say which account this is.
    """
    person = current_person(uri)
    if asked_by := cleaned(os.environ.get(ASKED_BY, "")):
        return Person(asked_by, Source.CLAIMED, person if person.source is Source.ACCOUNT else None)
    return person

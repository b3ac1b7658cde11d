"""Who did something, and how that is known: an account that MLflow has authenticated, or a name that is claimed."""

import os
import platform
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sweeps.errors import TrackingError
from sweeps.tracking.mlflow.account import account_name

MAX_CHARACTERS = 200


class Source(StrEnum):
    """How a name is known."""

    ACCOUNT = "MLflow account"
    CLAIMED = "claimed"


@dataclass(frozen=True)
class Person:
    """A person by name. `through` is the account that acted for a person whose name is only claimed, on a cluster."""

    name: str
    source: Source
    through: "Person | None" = None

    def __str__(self) -> str:
        return f"{self.name} ({self.source})" + (f" through {self.through}" if self.through else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the person as plain values."""
        through = None if self.through is None else self.through.to_dict()
        return {"name": self.name, "source": str(self.source), "through": through}


def current_person(uri: str) -> Person:
    """Return the account by which this process uses the tracking server at `uri`; if there is none, the claimed user.

    Raises TrackingError if a server with credentials does not answer.
    """
    name = account_name(uri)
    return claimed_person() if name is None else Person(cleaned(name), Source.ACCOUNT)


def person_if_reachable(uri: str) -> Person:
    """Return the current person; the claimed user if the tracking server does not answer."""
    try:
        return current_person(uri)
    except TrackingError:
        return claimed_person()


def claimed_person() -> Person:
    """Return USER@HOST by the user id of this process. Root of any machine can be any user of it: it is a claim."""
    return Person(cleaned(f"{os_user()}@{platform.node()}"), Source.CLAIMED)


def os_user() -> str:
    """Return the name of this process's user id; unlike LOGNAME, no variable changes it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user id may have no name
        return f"uid-{os.getuid()}"


def read_person(plain: Mapping[str, Any]) -> Person:
    """Return a person from the plain values of `to_dict`; unknown sources are claims."""
    through = plain.get("through")
    return replace(_read_name(plain), through=_read_name(through) if isinstance(through, Mapping) else None)


def cleaned(text: str, n_characters: int = MAX_CHARACTERS) -> str:
    """Return a name from elsewhere, safe to print: one line without control characters, of limited length."""
    return "".join(filter(str.isprintable, text[:n_characters])).strip()


def _read_name(plain: Mapping[str, Any]) -> Person:
    source = Source.ACCOUNT if plain.get("source") == Source.ACCOUNT else Source.CLAIMED
    return Person(cleaned(str(plain.get("name", ""))), source)

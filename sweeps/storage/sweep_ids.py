"""The ids of sweeps, and what may be typed instead of one: a unique prefix, the sweep's name, or `latest`."""

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from sweeps.errors import InputError

LATEST = "latest"
# The id of a sweep or a trial names one folder: no separator, and no "..".
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,199}")
_ID = re.compile(r"(?P<name>.+)-(?P<started>\d{8}-\d{6})-[0-9a-f]{4}")


def new_id(name: str) -> str:
    """Return an id for a new sweep: its name, the time (UTC) and four random hex digits."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{slug(name)}-{stamp}-{secrets.token_hex(2)}"


def slug(name: str) -> str:
    """Return a sweep's name as its ids begin: lowercase letters and digits, separated by '-'."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "sweep"


def is_folder_name(name: str) -> bool:
    """Return whether a name can be the id of a sweep or a trial, and so the name of its folder."""
    return _NAME.fullmatch(name) is not None


def folder_name(name: str) -> str:
    """Return the id of a sweep or a trial as it is; InputError if it cannot name a folder."""
    if not is_folder_name(name):
        raise InputError(
            "an id must have 1 to 200 letters, digits, spaces, '-', '_' and '.', and start with a letter or digit, "
            f"not {name[:80]!r}: correct it"
        )
    return name


def matches(typed: str, ids: Iterable[str], *, newest: bool = True) -> list[str]:
    """Return the ids that `typed` may mean: one if it is clear, several if not.

    With `newest`, `latest` means the newest sweep, and a sweep's name the newest of that name; sweeps of the same
    second are equally new. Otherwise only an id or a prefix of ids counts.
    """
    known = list(ids)
    if typed in known:
        return [typed]
    if newest and (chosen := [sweep_id for sweep_id in known if is_newest(typed, sweep_id)]):
        last = max(map(_started, chosen))
        return [sweep_id for sweep_id in chosen if _started(sweep_id) == last]
    # An empty shell variable must not name the only sweep, which would be deleted.
    return [sweep_id for sweep_id in known if typed and sweep_id.startswith(typed)]


def is_newest(typed: str, sweep_id: str) -> bool:
    """Return whether `typed` can only mean this sweep as the newest: it is `latest` or the sweep's name."""
    if typed == LATEST:
        return True
    return typed != "" and name_of(sweep_id) == slug(typed)


def name_of(sweep_id: str) -> str | None:
    """Return the name with which an id begins; None if the id was not made by `new_id`."""
    found = _ID.fullmatch(sweep_id)
    return found["name"] if found else None


def _started(sweep_id: str) -> str:
    found = _ID.fullmatch(sweep_id)
    return found["started"] if found else ""

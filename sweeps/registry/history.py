"""Who held an alias, when and why: a list that is written before the alias moves, and read against where it points.

Each move is a tag of the registered model, written under the alias's lock just before the move itself. Where the two
were cut apart, the alias tells which of them happened: the last entry is a move that took place if the alias points at
its version. The next move writes over one that did not.
"""

import getpass
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sweeps.errors import UnknownModel
from sweeps.registry.lock import Lock, locked
from sweeps.registry.store import Entry, RegistryStore

_OUTSIDE = "somebody set the alias in MLflow itself"


class MoveKind(StrEnum):
    """Why an alias moved; OUTSIDE stands for what somebody did past these commands, in MLflow itself."""

    PROMOTION = "promotion"
    FORCED = "forced promotion"
    ROLLBACK = "rollback"
    OUTSIDE = "moved outside sweeps"


@dataclass(frozen=True)
class Move:
    """An alias that was pointed at `version`, away from `replaced`: when (ISO 8601, UTC), by whom and why."""

    version: str
    replaced: str | None
    kind: MoveKind
    reason: str
    sweep: str | None = None
    trial: str | None = None
    run_id: str | None = None
    when: str = ""
    who: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The move as plain values."""
        return asdict(self) | {"kind": str(self.kind)}


def who() -> str:
    """The person and host on whose behalf this process works."""
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # A container's user id may have no name.
        return f"unknown@{platform.node()}"


def now() -> str:
    """This moment, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moves(model: Entry, alias: str) -> list[Move]:
    """The moves of an alias that took place, oldest first; the last one tells where it points now."""
    written = _written(model, alias)
    current = model.aliases.get(alias)
    if written and written[-1].version != current and written[-1].replaced == current:
        written.pop()  # It was written, and the alias never moved.
    if current is not None and (not written or written[-1].version != current):
        replaced = written[-1].version if written else None
        written.append(Move(current, replaced, MoveKind.OUTSIDE, _OUTSIDE))
    return _with_gaps(written)


def _with_gaps(written: Sequence[Move]) -> list[Move]:
    """The moves with those between them that were not written down: each began where another had put the alias."""
    told: list[Move] = []
    for step in written:
        before = told[-1].version if told else None
        if step.replaced is not None and step.replaced != before:
            told.append(Move(step.replaced, before, MoveKind.OUTSIDE, _OUTSIDE))
        told.append(step)
    return told


def move(store: RegistryStore, lock: Lock, model: Entry, alias: str, step: Move) -> None:
    """Write a move down and make it, under the alias's lock; `model` is how it stands since the lock was taken."""
    n_before = sum(past.kind is not MoveKind.OUTSIDE for past in moves(model, alias))
    key = f"{_prefix(alias)}{n_before + 1:05d}"
    lock.check()
    store.set_tag(model.name, key, json.dumps(step.to_dict()))
    lock.check()
    store.set_alias(model.name, alias, step.version)


def rollback(store: RegistryStore, name: str, alias: str) -> Move:
    """Point an alias back at the version that its holder replaced when it was promoted; gives the move.

    Raises UnknownModel where there is nothing to go back to, PromotionConflict where another moves the alias.
    """
    model_or_raise(store, name, alias)
    with locked(store, name, alias) as lock:
        model = model_or_raise(store, name, alias)
        past = moves(model, alias)
        current = past[-1].version
        target = _replaced_by(past, current)
        if target is None:
            raise UnknownModel(
                f"version {current} of {name} was the first to hold {alias}: there is none to go back to"
            )
        if store.version(name, target) is None:
            raise UnknownModel(f"version {target} of {name}, which held {alias} before version {current}, was deleted")
        origin = next((before for before in past if before.version == target), None)
        reason = f"back from version {current}"
        step = Move(target, current, MoveKind.ROLLBACK, reason, when=now(), who=who())
        if origin is not None:
            step = replace(step, sweep=origin.sweep, trial=origin.trial, run_id=origin.run_id)
        move(store, lock, model, alias, step)
    return step


def model_or_raise(store: RegistryStore, name: str, alias: str) -> Entry:
    """A registered model with a version that holds the alias; UnknownModel where there is none."""
    model = store.find(name)
    if model is None:
        raise UnknownModel(
            f"no model {name!r} is registered at {store.uri}: `sweeps promote SWEEP --model {name} --first`"
        )
    if alias not in model.aliases:
        held = ", ".join(sorted(model.aliases)) or "none"
        raise UnknownModel(f"no version of {name} holds the alias {alias!r}; aliases that are held: {held}")
    return model


def _replaced_by(past: Sequence[Move], version: str) -> str | None:
    """What a version replaced when it was last promoted: going back twice goes back two versions."""
    for step in reversed(past):
        if step.version == version and step.kind is not MoveKind.ROLLBACK:
            return step.replaced
    return None


def _prefix(alias: str) -> str:
    return f"sweeps.history.{alias}."


def _written(model: Entry, alias: str) -> list[Move]:
    tags = {key: value for key, value in model.tags.items() if key.startswith(_prefix(alias))}
    plain = [json.loads(tags[key]) for key in sorted(tags)]
    return [Move(**(step | {"kind": MoveKind(step["kind"])})) for step in plain]

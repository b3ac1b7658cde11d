"""Who held an alias, when and why: a list that is written before the alias moves, and marked when it has.

Each move is a tag of the registered model, written under the alias's lock just before the move itself, and written once
more, as made, just after it. Where the three were cut apart, the alias tells: a move without the mark took place if the
alias pointed at its version afterwards, which the next entry tells, or after the last one the alias. No entry is ever
written over.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sweeps.errors import TrackingError, UnknownModel
from sweeps.registry.alias_lock import Lock, locked
from sweeps.registry.mlflow_registry import Entry, RegistryStore
from sweeps.registry.names import who

GATES_TAG = "sweeps.gates"
_MADE = "made"
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


def now() -> str:
    """This moment, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moves(model: Entry, alias: str) -> list[Move]:
    """The moves of an alias that took place, oldest first; the last one tells where it points now, if it does."""
    current = model.aliases.get(alias)
    written = _made(model, alias)
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
    """Write a move down, make it, and mark it as made, under the alias's lock.

    `model` is how it stands since the lock was taken. A mark that MLflow does not take is left out, for the alias has
    moved.
    """
    last = max((int(key.rpartition(".")[2]) for key in _entries(model, alias)), default=0)
    key, plain = f"{_prefix(alias)}{last + 1:05d}", step.to_dict()
    lock.check()
    store.set_tag(model.name, key, json.dumps(plain))
    lock.check()
    store.set_alias(model.name, alias, step.version)
    with suppress(TrackingError):
        store.set_tag(model.name, key, json.dumps(plain | {_MADE: True}))


def rollback(store: RegistryStore, name: str, alias: str) -> Move:
    """Point an alias back at the version that its holder replaced when it was promoted; gives the move.

    Raises UnknownModel where there is nothing to go back to, or nothing that was ever judged, PromotionConflict where
    another moves the alias.
    """
    holding_model(store, name, alias)
    with locked(store, name, alias) as lock:
        model = holding_model(store, name, alias)
        past = moves(model, alias)
        current = past[-1].version
        target = _replaced_by(past, current)
        if target is None:
            raise UnknownModel(
                f"version {current} of {name} was the first to hold {alias}: there is none to go back to"
            )
        _check_target(store, name, alias, target, current)
        origin = next((before for before in past if before.version == target), None)
        reason = f"back from version {current}"
        step = Move(target, current, MoveKind.ROLLBACK, reason, when=now(), who=who())
        if origin is not None:
            step = replace(step, sweep=origin.sweep, trial=origin.trial, run_id=origin.run_id)
        move(store, lock, model, alias, step)
    return step


def find_model(store: RegistryStore, name: str) -> Entry:
    """A registered model; UnknownModel where there is none of that name."""
    model = store.find(name)
    if model is None:
        raise UnknownModel(
            f"no model {name!r} is registered at {store.uri}: `sweeps promote SWEEP --model {name} --first`"
        )
    return model


def holding_model(store: RegistryStore, name: str, alias: str) -> Entry:
    """A registered model with a version that holds the alias; UnknownModel where there is none."""
    model = find_model(store, name)
    if alias not in model.aliases:
        held = ", ".join(sorted(model.aliases)) or "none"
        raise UnknownModel(f"no version of {name} holds the alias {alias!r}; aliases that are held: {held}")
    return model


def _check_target(store: RegistryStore, name: str, alias: str, target: str, current: str) -> None:
    """UnknownModel unless a version may hold the alias again: it is there, and has passed or been forced past gates."""
    version = store.version(name, target)
    if version is None:
        raise UnknownModel(f"version {target} of {name}, which held {alias} before version {current}, was deleted")
    if GATES_TAG not in version.tags:
        raise UnknownModel(
            f"version {target} of {name}, which held {alias} before version {current}, must have been judged by gates, "
            "and somebody set it in MLflow itself: promote a trial instead"
        )


def _replaced_by(past: Sequence[Move], version: str) -> str | None:
    """What a version replaced when it was last promoted: going back twice goes back two versions."""
    for step in reversed(past):
        if step.version == version and step.kind is not MoveKind.ROLLBACK:
            return step.replaced
    return None


def _prefix(alias: str) -> str:
    return f"sweeps.history.{alias}."


def _entries(model: Entry, alias: str) -> dict[str, dict[str, Any]]:
    """What was written down of an alias, by the keys of the tags, in order."""
    tags = {key: value for key, value in model.tags.items() if key.startswith(_prefix(alias))}
    return {key: json.loads(tags[key]) for key in sorted(tags)}


def _made(model: Entry, alias: str) -> list[Move]:
    """The moves that were written down and made."""
    plain = list(_entries(model, alias).values())
    afterwards = [entry["replaced"] for entry in plain[1:]] + [model.aliases.get(alias)]
    told = zip(plain, afterwards, strict=False)  # without entries, the alias tells of none
    return [_read(entry) for entry, pointed_at in told if entry.get(_MADE) or pointed_at == entry["version"]]


def _read(entry: Mapping[str, Any]) -> Move:
    fields = {key: value for key, value in entry.items() if key != _MADE}
    return Move(**(fields | {"kind": MoveKind(entry["kind"])}))

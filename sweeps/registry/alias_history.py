"""The history of an alias: which version held it, when and why.

Each move is a tag of the registered model, written under the alias's lock just before the move and marked as made just
after it. An unmarked entry, left by an interruption, counts as made if the alias pointed at its version afterwards: the
next entry records where it pointed, and after the last entry the alias itself shows it. Entries are never overwritten.
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
from sweeps.registry.mlflow_registry import RegisteredModel, RegistryStore
from sweeps.registry.names import who

GATES_TAG = "sweeps.gates"
_MADE = "made"
_OUTSIDE = "the alias was set in MLflow directly"


class MoveKind(StrEnum):
    """Why an alias moved; OUTSIDE is a move made in MLflow directly, without these commands."""

    PROMOTION = "promotion"
    FORCED = "forced promotion"
    ROLLBACK = "rollback"
    OUTSIDE = "moved outside sweeps"


@dataclass(frozen=True)
class Move:
    """A move of an alias from version `replaced` to `version`: when (ISO 8601, UTC), by whom and why."""

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
        """Return the move as plain values."""
        return asdict(self) | {"kind": str(self.kind)}


def now() -> str:
    """Return the current time, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moves(model: RegisteredModel, alias: str) -> list[Move]:
    """Return the moves of an alias that were made, oldest first; the last leads to where it points now, if anywhere."""
    current = model.aliases.get(alias)
    recorded = _made(model, alias)
    if current is not None and (not recorded or recorded[-1].version != current):
        replaced = recorded[-1].version if recorded else None
        recorded.append(Move(current, replaced, MoveKind.OUTSIDE, _OUTSIDE))
    return _with_gaps_filled(recorded)


def _with_gaps_filled(recorded: Sequence[Move]) -> list[Move]:
    """Insert the unrecorded moves: those between the version of one move and the version that the next replaced."""
    history: list[Move] = []
    for step in recorded:
        before = history[-1].version if history else None
        if step.replaced is not None and step.replaced != before:
            history.append(Move(step.replaced, before, MoveKind.OUTSIDE, _OUTSIDE))
        history.append(step)
    return history


def move(store: RegistryStore, lock: Lock, model: RegisteredModel, alias: str, step: Move) -> None:
    """Record a move, make it, and mark it as made, under the alias's lock.

    `model` was read under the lock. If MLflow fails to store the mark, the move stands: the alias itself shows it.
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
    """Point an alias back at the version that its current one replaced when it was promoted; return the move.

    Raises UnknownModel if there is no such version or it was never judged, PromotionConflict if another process is
    moving the alias.
    """
    find_model_with_alias(store, name, alias)
    with locked(store, name, alias) as lock:
        model = find_model_with_alias(store, name, alias)
        past = moves(model, alias)
        current = past[-1].version
        target = _replaced_by(past, current)
        if target is None:
            raise UnknownModel(
                f"version {current} of {name} was the first to hold {alias}, so there is no version to roll back to: "
                "promote another trial instead"
            )
        _check_target(store, name, alias, target, current)
        origin = next((before for before in past if before.version == target), None)
        reason = f"rolled back from version {current}"
        step = Move(target, current, MoveKind.ROLLBACK, reason, when=now(), who=who())
        if origin is not None:
            step = replace(step, sweep=origin.sweep, trial=origin.trial, run_id=origin.run_id)
        move(store, lock, model, alias, step)
    return step


def find_model(store: RegistryStore, name: str) -> RegisteredModel:
    """Return a registered model; raise UnknownModel if there is none of that name."""
    model = store.find(name)
    if model is None:
        raise UnknownModel(
            f"no model {name!r} is registered at {store.uri}: promote one with "
            f"`sweeps promote SWEEP --model {name} --first`"
        )
    return model


def find_model_with_alias(store: RegistryStore, name: str, alias: str) -> RegisteredModel:
    """Return a registered model with a version that holds the alias; raise UnknownModel if there is none."""
    model = find_model(store, name)
    if alias not in model.aliases:
        held = ", ".join(sorted(model.aliases)) or "none"
        raise UnknownModel(f"no version of {name} holds the alias {alias!r}; its aliases: {held}")
    return model


def _check_target(store: RegistryStore, name: str, alias: str, target: str, current: str) -> None:
    """Raise UnknownModel unless the version exists and was judged by gates."""
    version = store.version(name, target)
    if version is None:
        raise UnknownModel(
            f"version {target} of {name}, which held {alias} before version {current}, was deleted: promote a trial "
            "instead"
        )
    if GATES_TAG not in version.tags:
        raise UnknownModel(
            f"version {target} of {name}, which held {alias} before version {current}, must have been judged by gates, "
            "but the alias was set in MLflow directly: promote a trial instead"
        )


def _replaced_by(past: Sequence[Move], version: str) -> str | None:
    """Return what a version replaced when it was last promoted, so that two rollbacks go back two versions."""
    for step in reversed(past):
        if step.version == version and step.kind is not MoveKind.ROLLBACK:
            return step.replaced
    return None


def _prefix(alias: str) -> str:
    return f"sweeps.history.{alias}."


def _entries(model: RegisteredModel, alias: str) -> dict[str, dict[str, Any]]:
    """Return the recorded moves of an alias as plain values, by the keys of their tags, in order."""
    tags = {key: value for key, value in model.tags.items() if key.startswith(_prefix(alias))}
    return {key: json.loads(tags[key]) for key in sorted(tags)}


def _made(model: RegisteredModel, alias: str) -> list[Move]:
    """Return the recorded moves that were made."""
    entries = list(_entries(model, alias).values())
    afterwards = [entry["replaced"] for entry in entries[1:]] + [model.aliases.get(alias)]
    pairs = zip(entries, afterwards, strict=False)  # without entries, `afterwards` has one more
    return [_read(entry) for entry, pointed_at in pairs if entry.get(_MADE) or pointed_at == entry["version"]]


def _read(entry: Mapping[str, Any]) -> Move:
    fields = {key: value for key, value in entry.items() if key != _MADE}
    return Move(**(fields | {"kind": MoveKind(entry["kind"])}))

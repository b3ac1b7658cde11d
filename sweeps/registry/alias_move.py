"""Move an alias: forward by a promotion, back by a rollback. Each move is recorded before it is made."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from sweeps.errors import StorageError, TrackingError, UnknownModel
from sweeps.registry.alias_history import (
    MADE,
    Move,
    MoveKind,
    find_model_with_alias,
    moves,
    now,
    recorded,
    tag_prefix,
)
from sweeps.registry.alias_lock import Lock, locked
from sweeps.registry.mlflow_registry import RegisteredModel, RegistryStore
from sweeps.registry.names import who
from sweeps.registry.promotion_log import (
    GATES_TAG,
    LOG_TAG,
    Evidence,
    MovedAlias,
    gates_of,
    log_tag,
    open_log,
    record_move,
    record_outcome,
    recorded_evidence,
    tags_of,
    unsettled_move,
)
from sweeps.storage.chained_log import ChainedLog
from sweeps.tracking.person import Person

logger = logging.getLogger(__name__)


def move(store: RegistryStore, lock: Lock, model: RegisteredModel, alias: str, step: Move, evidence: Evidence) -> None:
    """Record a move, make it, and mark it as made, under the alias's lock.

    `model` was read under the lock. First the log of promotions gets an entry, and the version a tag with its hash. If
    MLflow or the log fails to store the mark, the move stands: the alias itself shows it.
    """
    last = max((int(key.rpartition(".")[2]) for key in recorded(model, alias)), default=0)
    key, plain, log = f"{tag_prefix(alias)}{last + 1:05d}", step.to_dict(), open_log()
    _settle(log, model, alias)
    entry = record_move(log, MovedAlias(store.uri, model, alias, key), plain, evidence)
    lock.check()
    store.set_version_tag(model.name, step.version, LOG_TAG, log_tag(log, entry))
    store.set_tag(model.name, key, json.dumps(plain))
    lock.check()
    store.set_alias(model.name, alias, step.version)
    try:
        outcome = record_outcome(log, entry, made=True, when=now())
        store.set_version_tag(model.name, step.version, LOG_TAG, log_tag(log, outcome))
        store.set_tag(model.name, key, json.dumps(plain | {MADE: True}))
    except (TrackingError, StorageError) as error:
        logger.warning("%s of %s was moved; the next move completes its record: %s", alias, model.name, error)


def _settle(log: ChainedLog, model: RegisteredModel, alias: str) -> None:
    """Record the outcome of the last move of an alias, if an interruption has left none."""
    unsettled = unsettled_move(log, model, alias)
    if unsettled is not None:
        version = unsettled.facts.get("version")
        marked = recorded(model, alias).get(str(unsettled.facts.get("tag")), {})
        is_marked = bool(marked.get(MADE)) and marked["version"] == version
        record_outcome(log, unsettled, made=is_marked or model.aliases.get(alias) == version, when=now())


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
        person = who(store.uri)
        step = Move(target, current, MoveKind.ROLLBACK, reason, when=now(), who=str(person))
        if origin is not None:
            step = replace(step, sweep=origin.sweep, trial=origin.trial, run_id=origin.run_id)
        move(store, lock, model, alias, step, _evidence_of(model, target, person))
    return step


def _evidence_of(model: RegisteredModel, version: str, person: Person) -> Evidence:
    """Return the evidence for a rollback: what the log has recorded of the version, never what its files are now."""
    known = recorded_evidence(open_log(), model, version)
    return Evidence(
        person,
        known.get("commit"),
        known.get("network"),
        known.get("package_sha256"),
        gates_of(known),
        tags_of(known),
    )


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

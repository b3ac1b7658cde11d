"""The log of promotions in `SWEEPS_HOME/promotions`: an entry before an alias moves, and the outcome after it.

An interruption between the two leaves a move without an outcome. The next move of the alias records it, under the
alias's lock: the alias moved if it points at the version, or if MLflow has the move as made.
"""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.registry.mlflow_registry import RegisteredModel
from sweeps.storage.chained_log import ChainedLog, LogEntry
from sweeps.storage.layout import storage
from sweeps.tracking.mlflow.uri import tracking_uri, without_credentials
from sweeps.tracking.person import Person

# A version's tag: the number and the hash of the newest entry about it, so that a cut-off tail of the log is noticed.
LOG_TAG = "sweeps.promotion_log"
GATES_TAG, GATE_PREFIX = "sweeps.gates", "sweeps.gate."
_MOVE, _OUTCOME = "move", "outcome"


@dataclass(frozen=True)
class Evidence:
    """What an entry records besides the move: who made it, and the version's gates and tags.

    `package_sha256` is `package_digest` of the version's files; `tags` are the version's, without those of its gates.
    """

    who: Person
    commit: str | None = None
    network: str | None = None
    package_sha256: str | None = None
    gates: Sequence[Mapping[str, Any]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MovedAlias:
    """An alias of a registered model, and the tag of the model that has the move in MLflow."""

    store: str
    model: RegisteredModel
    alias: str
    tag: str


def open_log() -> ChainedLog:
    """Return the log of this SWEEPS_HOME."""
    return ChainedLog(storage() / "promotions")


def location(log: ChainedLog) -> str:
    """Return where a log is, for people on other machines."""
    return f"{platform.node()}:{log.folder}" if isinstance(log.folder, Path) else str(log.folder)


def record_move(log: ChainedLog, moved: MovedAlias, step: Mapping[str, Any], evidence: Evidence) -> LogEntry:
    """Record a move that is about to be made. `step` are the plain values of the move that MLflow gets."""
    return log.append(
        {
            "what": _MOVE,
            "store": without_credentials(moved.store),
            "model": moved.model.name,
            "model_created_ms": moved.model.created_ms,
            "alias": moved.alias,
            "tag": moved.tag,
            **step,
            "who": evidence.who.to_dict(),
            "commit": evidence.commit,
            "network": evidence.network,
            "package_sha256": evidence.package_sha256,
            "gates": [dict(gate) for gate in evidence.gates],
            "tags": dict(evidence.tags),
        }
    )


def record_outcome(log: ChainedLog, move: LogEntry, *, made: bool, when: str) -> LogEntry:
    """Record whether a move was made."""
    return log.append({"what": _OUTCOME, "of": move.number, "made": made, "when": when})


def unsettled_move(log: ChainedLog, model: RegisteredModel, alias: str) -> LogEntry | None:
    """Return the newest move of an alias if the log has no outcome of it."""
    settled: set[int] = set()
    for entry in log.newest_first():
        if entry.facts.get("what") == _OUTCOME:
            settled.update(outcomes([entry]))
        elif is_move_of(entry, model, alias):
            return None if entry.number in settled else entry
    return None


def outcomes(entries: Iterable[LogEntry]) -> dict[int, bool]:
    """Return whether each move with an outcome was made, by the number of its entry."""
    found = [entry.facts for entry in entries if entry.facts.get("what") == _OUTCOME]
    return {int(facts["of"]): facts.get("made") is True for facts in found if isinstance(facts.get("of"), int)}


def is_move_of(entry: LogEntry, model: RegisteredModel, alias: str) -> bool:
    """Return whether an entry is a move of this alias, not of one of a deleted model of the same name."""
    facts = entry.facts
    is_same = (facts.get("model"), facts.get("model_created_ms"), facts.get("alias")) == (
        model.name,
        model.created_ms,
        alias,
    )
    return facts.get("what") == _MOVE and is_same


def log_tag(log: ChainedLog, entry: LogEntry) -> str:
    """Return the value of LOG_TAG for an entry."""
    return json.dumps({"entry": entry.number, "sha256": entry.sha256, "log": location(log)})


def gates_of(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the gates of an entry; none if it was edited so that they are none."""
    gates = facts.get("gates")
    named = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
    return [gate for gate in named if all(isinstance(gate.get(key), str) for key in ("name", "outcome", "sentence"))]


def tags_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of an entry's version; none if it was edited so that they are none."""
    tags = facts.get("tags")
    return {key: value for key, value in tags.items() if isinstance(value, str)} if isinstance(tags, dict) else {}


def gate_tags(gates: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the tags of a version by its gates: all of them as JSON, and a line for each."""
    lines = {
        f"{GATE_PREFIX}{gate['name'].replace(' ', '_')}": f"{gate['outcome']}: {gate['sentence']}" for gate in gates
    }
    return {GATES_TAG: json.dumps([dict(gate) for gate in gates])} | lines


def is_gate_tag(name: str) -> bool:
    """Return whether a tag of a version is one of `gate_tags`."""
    return name == GATES_TAG or name.startswith(GATE_PREFIX)


def recorded_evidence(log: ChainedLog, model: RegisteredModel, version: str) -> Mapping[str, Any]:
    """Return the facts of the newest move to a version, of any alias; empty if the log has none."""
    for entry in log.newest_first():
        if entry.facts.get("version") == version and is_move_of(entry, model, entry.facts.get("alias", "")):
            return entry.facts
    return {}


def recorded_package_digest(store_uri: str, model: str, version: str) -> str | None:
    """Return the digest of a version's files by the newest entry about it; None if this SWEEPS_HOME has no entry."""
    wanted = (without_credentials(tracking_uri(store_uri)), model, version)
    for entry in open_log().newest_first():
        facts = entry.facts
        if (facts.get("store"), facts.get("model"), facts.get("version")) == wanted and facts.get("package_sha256"):
            return str(facts["package_sha256"])
    return None

"""The history of an alias in MLflow, beside what the log of promotions has of each move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.registry.alias_history import Move, find_model, tagged_moves
from sweeps.registry.audited_tags import TagAudit
from sweeps.registry.logged_moves import LoggedMove, by_tag, logged_moves
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.promotion_log import location, open_log
from sweeps.tracking.short_text import fitted


@dataclass(frozen=True)
class AuditedHistory:
    """The moves of an alias, oldest first, each with its entry in the log at `location`, None if it has none.

    `holder` is the version at which the alias points now. `other_logs` are those that versions name in their tags.
    """

    moves: Sequence[tuple[Move, LoggedMove | None]]
    holder: str | None
    location: str
    n_entries: int
    other_logs: Sequence[str] = ()

    def __repr__(self) -> str:
        lines = [str(move) for move, _ in reversed(self.moves)]
        return fitted([f"AuditedHistory: version {self.holder} holds the alias", *(f"  {line}" for line in lines)])

    def to_dict(self) -> dict[str, Any]:
        """Return the history as plain values, the newest move first."""
        moves = [move.to_dict() | {"log": logged and logged.to_dict()} for move, logged in reversed(self.moves)]
        log = {"location": self.location, "entries": self.n_entries, "others": list(self.other_logs)}
        return {"holder": self.holder, "moves": moves, "log": log}


def audited_history(store: RegistryStore, name: str, alias: str) -> AuditedHistory:
    """Return the history of an alias. Raises UnknownModel if no model of that name is registered."""
    log, model = open_log(), find_model(store, name)
    entries = log.entries()
    logged = by_tag(logged_moves(entries, model, alias))
    moves = [(move, logged.get(tag) if tag else None) for tag, move in tagged_moves(model, alias)]
    unlogged = dict.fromkeys(move.version for move, entry in moves if entry is None)
    versions = [store.version(name, version) for version in unlogged]
    others = [TagAudit(version.tags, entries, location(log)).other_log for version in versions if version is not None]
    known = tuple(dict.fromkeys(other for other in others if other is not None))
    return AuditedHistory(moves, model.aliases.get(alias), location(log), len(entries), known)

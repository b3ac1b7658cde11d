"""The moves of an alias by the log of promotions, and whether each was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.registry.mlflow_registry import RegisteredModel
from sweeps.registry.promotion_log import is_move_of, outcomes
from sweeps.storage.chained_log import LogEntry
from sweeps.tracking.mlflow.uri import without_credentials
from sweeps.tracking.person import Person, read_person

_SHOWN = ("commit", "network", "package_sha256", "gates")


@dataclass(frozen=True)
class LoggedMove:
    """A move by its entry. `is_settled` if the log has its outcome; if not, `made` is judged by where the alias was."""

    entry: LogEntry
    made: bool
    is_settled: bool

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the entry records."""
        return self.entry.facts

    @property
    def version(self) -> str:
        """Return the version to which the alias moved."""
        return str(self.facts.get("version"))

    @property
    def tag(self) -> str:
        """Return the tag of the registered model that records the move in MLflow."""
        return str(self.facts.get("tag"))

    @property
    def who(self) -> Person:
        """Return who moved the alias."""
        who = self.facts.get("who")
        return read_person(who if isinstance(who, Mapping) else {})

    def to_dict(self) -> dict[str, Any]:
        """Return what MLflow's history does not have, as plain values."""
        shown = {name: self.facts.get(name) for name in _SHOWN}
        return {"entry": self.entry.number, "sha256": self.entry.sha256, "who": self.who.to_dict()} | shown


def logged_moves(entries: Sequence[LogEntry], model: RegisteredModel, alias: str) -> list[LoggedMove]:
    """Return the moves of an alias that the log has, oldest first.

    A move without an outcome, left by an interruption, was made if the alias pointed at its version afterwards: the
    next move shows where it pointed, and after the last one the alias itself.
    """
    settled = outcomes(entries)
    steps = [entry for entry in entries if is_move_of(entry, model, alias)]
    afterwards = [*[step.facts.get("replaced") for step in steps[1:]], model.aliases.get(alias)]
    return [
        LoggedMove(step, settled.get(step.number, pointed_at == step.facts.get("version")), step.number in settled)
        for step, pointed_at in zip(steps, afterwards, strict=False)
    ]


def last_move_of_namesake(
    entries: Sequence[LogEntry], store: str, model: RegisteredModel, alias: str
) -> LoggedMove | None:
    """Return the last move that was made of the alias of an earlier model of this name in this store; None if none was.

    MLflow has one model of a name: the earlier one was deleted or renamed.
    """
    named = {"what": "move", "store": without_credentials(store), "model": model.name, "alias": alias}
    settled = outcomes(entries)
    for entry in reversed(entries):
        is_namesake = all(entry.facts.get(key) == value for key, value in named.items())
        if is_namesake and not is_move_of(entry, model, alias) and settled.get(entry.number):
            return LoggedMove(entry, made=True, is_settled=True)
    return None


def by_tag(moves: Sequence[LoggedMove]) -> dict[str, LoggedMove]:
    """Return the moves by their tags in MLflow; of two with the same tag, the newer, which replaced the other's."""
    return {move.tag: move for move in moves}

"""The history of an alias: which version held it, when and why.

Each move is a tag of the registered model, written under the alias's lock just before the move and marked as made just
after it. An unmarked entry, left by an interruption, counts as made if the alias pointed at its version afterwards: the
next entry records where it pointed, and after the last entry the alias itself shows it. Entries are never overwritten.

Tags can be edited in MLflow, so the log of promotions (`promotion_log`) has each move, too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sweeps.errors import UnknownModel
from sweeps.registry.mlflow_registry import RegisteredModel, RegistryStore
from sweeps.tracking.short_text import fitted, wrapped

MADE = "made"
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

    def __str__(self) -> str:
        when = " by ".join(part for part in (self.when, self.who) if part)
        return f"{f'{when}: ' if when else ''}{self._step}: {self.reason}"

    def __repr__(self) -> str:
        return fitted(wrapped(f"Move {self}", indent="", hanging="  "))

    @property
    def _step(self) -> str:
        if self.kind in (MoveKind.ROLLBACK, MoveKind.OUTSIDE):
            return f"{self.kind} to version {self.version}" + (
                "" if self.replaced is None else f", from {self.replaced}"
            )
        replaced = "" if self.replaced is None else f", which replaced {self.replaced}"
        return f"{self.kind} of version {self.version}{replaced}"

    def to_dict(self) -> dict[str, Any]:
        """Return the move as plain values."""
        return asdict(self) | {"kind": str(self.kind)}


def now() -> str:
    """Return the current time, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moves(model: RegisteredModel, alias: str) -> list[Move]:
    """Return the moves of an alias that were made, oldest first; the last leads to where it points now, if anywhere."""
    return [step for _, step in tagged_moves(model, alias)]


def tagged_moves(model: RegisteredModel, alias: str) -> list[tuple[str | None, Move]]:
    """Return the moves as `moves` does, each with the tag that records it; None for one made in MLflow directly."""
    current = model.aliases.get(alias)
    made: list[tuple[str | None, Move]] = list(_made(model, alias))
    if current is not None and (not made or made[-1][1].version != current):
        replaced = made[-1][1].version if made else None
        made.append((None, Move(current, replaced, MoveKind.OUTSIDE, _OUTSIDE)))
    return _with_gaps_filled(made)


def _with_gaps_filled(made: Sequence[tuple[str | None, Move]]) -> list[tuple[str | None, Move]]:
    """Insert the unrecorded moves: those between the version of one move and the version that the next replaced."""
    history: list[tuple[str | None, Move]] = []
    for key, step in made:
        before = history[-1][1].version if history else None
        if step.replaced is not None and step.replaced != before:
            history.append((None, Move(step.replaced, before, MoveKind.OUTSIDE, _OUTSIDE)))
        history.append((key, step))
    return history


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


def tag_prefix(alias: str) -> str:
    """Return how the names of the tags begin that record the moves of an alias."""
    return f"sweeps.history.{alias}."


def recorded(model: RegisteredModel, alias: str) -> dict[str, dict[str, Any]]:
    """Return the recorded moves of an alias as plain values, by the keys of their tags, in order.

    Raises UnknownModel if a tag is no move: somebody has edited it in MLflow.
    """
    tags = {key: value for key, value in model.tags.items() if key.startswith(tag_prefix(alias))}
    return {key: parse_tag(model.name, key, tags[key]) for key in sorted(tags)}


def parse_tag(name: str, key: str, value: str) -> dict[str, Any]:
    """Return the move in a tag as plain values; raise UnknownModel if it is none."""
    try:
        plain: dict[str, Any] = json.loads(value)
        _read(plain)
        int(key.rpartition(".")[2])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnknownModel(
            f"the tag {key} of {name} must record a move, and does not: somebody has edited it in MLflow. "
            f"`sweeps history {name} --verify` shows what the log of promotions has"
        ) from None
    return plain


def _made(model: RegisteredModel, alias: str) -> list[tuple[str, Move]]:
    """Return the recorded moves that were made, each with its tag."""
    entries = recorded(model, alias)
    afterwards = [*[entry["replaced"] for entry in entries.values()][1:], model.aliases.get(alias)]
    made = zip(entries.items(), afterwards, strict=False)  # without entries, `afterwards` has one more
    return [
        (key, _read(entry)) for (key, entry), pointed_at in made if entry.get(MADE) or pointed_at == entry["version"]
    ]


def _read(entry: Mapping[str, Any]) -> Move:
    """Return the move of an entry. Raises KeyError, TypeError, ValueError or AttributeError if it is none."""
    fields = {key: value for key, value in entry.items() if key != MADE}
    optional = ("replaced", "sweep", "trial", "run_id")
    if any(not isinstance(value, str) and (value is not None or key not in optional) for key, value in fields.items()):
        raise TypeError("the values must be text")
    return Move(**(fields | {"kind": MoveKind(entry["kind"])}))

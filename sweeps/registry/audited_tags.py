"""The tags of a version, compared with the log of promotions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeps.registry.promotion_log import GATES_TAG, LOG_TAG, gate_tags, gates_of, is_gate_tag, tags_of
from sweeps.storage.chained_log import LogEntry
from sweeps.tracking.person import cleaned


@dataclass(frozen=True)
class TagAudit:
    """A version's tags in MLflow, and the entries of the log at `location`."""

    tags: Mapping[str, str]
    entries: Sequence[LogEntry]
    location: str

    @property
    def other_log(self) -> str | None:
        """Return which other log has the entry that LOG_TAG names; None without the tag, or if it names this log."""
        log = cleaned(str(self._named.get("log", self.location)))
        return None if log == self.location or self._entry is not None else log

    @property
    def names_missing_entry(self) -> bool:
        """Whether LOG_TAG names an entry that the log does not have."""
        return LOG_TAG in self.tags and self._entry is None

    def log_issues(self, version: str) -> Iterator[str]:
        """Yield what is wrong with LOG_TAG: it must name an entry about this version."""
        if LOG_TAG not in self.tags:
            yield f"its tag {LOG_TAG} was deleted in MLflow"
        elif self._entry is None:
            number, other = self._named.get("entry"), self.other_log
            known = any(entry.number == number for entry in self.entries)
            found = "has another SHA-256: it was edited" if known else "is not in this log: its tail was cut off"
            instead = f", or the entry is in {other}" if other else ""
            yield f"entry {number!s:.20}, which its tag {LOG_TAG} names, {found}{instead}"
        elif self._subject(self._entry).get("version") != version:
            yield f"its tag {LOG_TAG} was edited in MLflow: entry {self._entry.number} is about another version"

    def issues(self, facts: Mapping[str, Any]) -> Iterator[str]:
        """Yield the tags that differ from those of the version's promotion."""
        gates = gates_of(facts)
        expected = tags_of(facts) | gate_tags(gates)
        added = [name for name in self.tags if is_gate_tag(name)]
        for name in sorted({*expected, *added}):
            ours, theirs = expected.get(name), self.tags.get(name)
            is_same = _parsed(theirs) == gates if name == GATES_TAG else ours == theirs
            if not is_same:
                yield f"its tag {name} was edited in MLflow: {theirs!r:.100}, not {ours!r:.100}"

    @cached_property
    def _named(self) -> dict[str, Any]:
        named = _parsed(self.tags.get(LOG_TAG))
        return named if isinstance(named, dict) else {}

    @cached_property
    def _entry(self) -> LogEntry | None:
        """Return the entry that LOG_TAG names by its number and hash."""
        wanted = self._named.get("entry"), self._named.get("sha256")
        return next((entry for entry in self.entries if (entry.number, entry.sha256) == wanted), None)

    def _subject(self, entry: LogEntry) -> Mapping[str, Any]:
        """Return the move that an entry is about, if it is the outcome of one."""
        move = entry.facts.get("of", entry.number)
        return next((other.facts for other in self.entries if other.number == move), {})


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None

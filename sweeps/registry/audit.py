"""The audit of an alias: whether the log of promotions is whole, and MLflow agrees with it."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from sweeps.errors import InputError, TrackingError, UnknownModel
from sweeps.registry.alias_history import MADE, MoveKind, find_model, parse_tag, tag_prefix
from sweeps.registry.audited_alias import AuditedAlias
from sweeps.registry.audited_tags import TagAudit
from sweeps.registry.logged_moves import LoggedMove, by_tag
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.package_digest import package_digest
from sweeps.registry.promotion_log import location, open_log
from sweeps.storage.chained_log import LogEntry, chain_issues

_COMPARED = ("version", "replaced", "kind", "reason", "sweep", "trial", "run_id", "when")


class CheckOutcome(StrEnum):
    """The outcome of a check; a NOTE is no failure."""

    PASSED = "ok"
    FAILED = "failed"
    NOTE = "note"


@dataclass(frozen=True)
class Check:
    """What was checked, and how it ended, in one sentence."""

    name: str
    outcome: CheckOutcome
    sentence: str


@dataclass(frozen=True)
class Audit:
    """The checks of an alias against the log at `location`, which has `n_entries`."""

    location: str
    n_entries: int
    checks: Sequence[Check]

    @property
    def is_verified(self) -> bool:
        """Whether no check has failed."""
        return all(check.outcome is not CheckOutcome.FAILED for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain values."""
        checks = [asdict(check) | {"outcome": str(check.outcome)} for check in self.checks]
        log = {"location": self.location, "entries": self.n_entries}
        return {"log": log, "verified": self.is_verified, "checks": checks}


def audit(store: RegistryStore, name: str, alias: str) -> Audit:
    """Check the log, the moves that MLflow shows, the tags of their versions, and the files of the alias's version."""
    log, model = open_log(), find_model(store, name)
    entries = log.entries()
    audited = AuditedAlias(store, model, alias, entries, location(log))
    checks = [
        *_chain(entries),
        *_moves(audited),
        *_model(audited),
        *_alias(audited),
        *_versions(audited),
        *_files(audited),
    ]
    return Audit(location(log), len(entries), checks)


def _chain(entries: Sequence[LogEntry]) -> Iterator[Check]:
    issues = chain_issues(entries)
    for issue in issues:
        yield Check("log", CheckOutcome.FAILED, issue)
    if not issues:
        sentence = f"{len(entries)} entries, unbroken" if entries else "it has no entries"
        yield Check("log", CheckOutcome.PASSED if entries else CheckOutcome.NOTE, sentence)


def _moves(audited: AuditedAlias) -> Iterator[Check]:
    """Compare the moves that MLflow's tags show with the entries, both ways."""
    logged = by_tag(audited.logged)
    first = min(logged, default=None)
    tags = {key: value for key, value in audited.model.tags.items() if key.startswith(tag_prefix(audited.alias))}
    for key in sorted(tags):
        if key in logged:
            yield _compared(audited.model.name, key, tags[key], logged[key])
        else:
            yield _not_logged(audited, key, tags[key], is_earlier=first is None or key < first)
    for move in audited.logged:
        name = f"entry {move.entry.number}"
        if move.made and (move.tag not in tags or logged[move.tag] is not move):
            sentence = f"MLflow does not show this move to version {move.version}: its tag {move.tag} was deleted"
            yield Check(name, CheckOutcome.FAILED, sentence)
        elif not move.is_settled:
            counted = "made" if move.made else "not made"
            sentence = f"the move to version {move.version} was interrupted; by the alias, it was {counted}"
            yield Check(name, CheckOutcome.NOTE, sentence)


def _compared(name: str, key: str, value: str, move: LoggedMove) -> Check:
    """Compare a tag with the entry about the same move."""
    try:
        plain = parse_tag(name, key, value)
    except UnknownModel:
        return Check(key, CheckOutcome.FAILED, f"the tag was edited in MLflow: it is no move, as entry {_of(move)} is")
    expected = {field: move.facts.get(field) for field in _COMPARED} | {"who": str(move.who)}
    different = [field for field, value in expected.items() if plain.get(field) != value]
    if different:
        differences = "; ".join(
            f"{field} {_short(plain.get(field))}, not {_short(expected[field])}" for field in different
        )
        sentence = f"the tag was edited in MLflow, or entry {_of(move)} was: {differences}"
        return Check(key, CheckOutcome.FAILED, sentence)
    if plain.get(MADE) and not move.made:
        sentence = f"MLflow has the move to version {move.version} as made, entry {_of(move)} as not made"
        return Check(key, CheckOutcome.FAILED, sentence)
    made = "" if move.made else ", not made"
    sentence = f"{move.facts['kind']}, version {move.version}, by {move.who}{made}: as in entry {_of(move)}"
    return Check(key, CheckOutcome.PASSED, sentence)


def _of(move: LoggedMove) -> int:
    return move.entry.number


def _not_logged(audited: AuditedAlias, key: str, value: str, *, is_earlier: bool) -> Check:
    """Judge a move that only MLflow shows: a release without the log can have made it before the log's first entry."""
    try:
        version = str(parse_tag(audited.model.name, key, value)["version"])
    except UnknownModel:
        return Check(key, CheckOutcome.FAILED, "the tag is no move: it was edited in MLflow")
    found = audited.version(version)
    tags = TagAudit({} if found is None else found.tags, audited.entries, audited.location)
    if tags.other_log is not None:
        where = f"{tags.other_log}: read it with that SWEEPS_HOME"
        return Check(key, CheckOutcome.FAILED, f"the move to version {version} is not in this log, but in {where}")
    if tags.names_missing_entry:
        return Check(key, CheckOutcome.FAILED, f"the move to version {version} was in this log, and was deleted there")
    if is_earlier:
        return Check(key, CheckOutcome.NOTE, f"version {version} is not in the log: made before it existed")
    return Check(key, CheckOutcome.FAILED, f"version {version} is not in the log, and later moves are")


def _model(audited: AuditedAlias) -> Iterator[Check]:
    """Check that the moves in the log are of this model, not of an earlier one of its name, which MLflow has lost."""
    earlier = audited.last_of_earlier_model
    if earlier is None:
        return
    if not audited.made:
        sentence = (
            f"the model was deleted or renamed in MLflow after entry {_of(earlier)}, in which it points at version "
            f"{earlier.version}, and was registered again"
        )
        yield Check(audited.alias, CheckOutcome.FAILED, sentence)
        return
    first = audited.made[0]
    if (moved_to := first.facts.get("replaced")) is None:
        sentence = f"entries up to {_of(earlier)} are of an earlier model of this name, which was deleted or renamed"
        yield Check(audited.alias, CheckOutcome.NOTE, sentence)
        return
    sentence = (
        f"between entries {_of(earlier)} and {_of(first)} the model was deleted or renamed in MLflow and registered "
        f"again, and it was moved to version {moved_to}, in MLflow directly or by another SWEEPS_HOME"
    )
    yield Check(audited.alias, CheckOutcome.FAILED, sentence)


def _alias(audited: AuditedAlias) -> Iterator[Check]:
    """Check that the alias went from each logged move to the next, and is where the last one left it."""
    for before, after in pairwise(audited.made):
        if after.facts.get("replaced") != before.version:
            sentence = (
                f"between entries {_of(before)} and {_of(after)} it was moved from version {before.version} to "
                f"{after.facts.get('replaced') or 'none'}, in MLflow directly or by another SWEEPS_HOME"
            )
            yield Check(audited.alias, CheckOutcome.FAILED, sentence)
    points = f"it points at version {audited.holder}" if audited.holder else "it points at no version"
    if not audited.made:
        yield Check(audited.alias, CheckOutcome.NOTE, f"{points}; the log has no move of it")
    elif audited.made[-1].version == audited.holder:
        yield Check(audited.alias, CheckOutcome.PASSED, f"{points}, as in entry {_of(audited.made[-1])}")
    else:
        last = audited.made[-1]
        sentence = f"{points}, not at version {last.version} of entry {_of(last)}: it was moved in MLflow directly"
        yield Check(audited.alias, CheckOutcome.FAILED, sentence)


def _versions(audited: AuditedAlias) -> Iterator[Check]:
    """Compare the tags of each version that held the alias with the entry of its promotion."""
    promotions = {move.version: move for move in audited.made if move.facts.get("kind") != MoveKind.ROLLBACK}
    # The alias's version also if the log has no move to it that was made: an outcome may have been edited.
    held = [move.version for move in audited.logged if move.made or move.version == audited.holder]
    for number in dict.fromkeys(held):
        version, name = audited.version(number), f"version {number}"
        if version is None:
            yield Check(name, CheckOutcome.NOTE, "it was deleted in MLflow; the log keeps its entries")
            continue
        tags = TagAudit(version.tags, audited.entries, audited.location)
        promotion = promotions.get(number)
        issues = [*tags.log_issues(number), *(tags.issues(promotion.facts) if promotion else ())]
        for issue in issues:
            yield Check(name, CheckOutcome.FAILED, issue)
        if not issues:
            compared = f"its tags are as in entry {_of(promotion)}, and name" if promotion else "its tag names"
            yield Check(name, CheckOutcome.PASSED, f"{compared} an entry of this log")


def _files(audited: AuditedAlias) -> Iterator[Check]:
    """Compare the files of the alias's version with the digest in the newest entry about it."""
    holder = audited.holder
    if holder is None:
        return
    moves = [move for move in audited.logged if move.version == holder and move.facts.get("package_sha256")]
    if not moves:
        yield Check("files", CheckOutcome.NOTE, f"the log has no digest of the files of version {holder}")
        return
    expected, entry = moves[-1].facts["package_sha256"], _of(moves[-1])
    version = audited.version(holder)
    if version is None:
        yield Check("files", CheckOutcome.FAILED, f"version {holder} was deleted")
        return
    with tempfile.TemporaryDirectory(prefix="sweeps-audit-") as folder:
        try:
            found = package_digest(audited.store.download_version(version, Path(folder) / "files"))
        except TrackingError:  # MLflow does not answer, which says nothing about the files
            raise
        except InputError as error:
            yield Check("files", CheckOutcome.FAILED, f"those of version {holder} cannot be compared: {error}")
            return
    if found == expected:
        yield Check("files", CheckOutcome.PASSED, f"those of version {holder} have the SHA-256 of entry {entry}")
    else:
        sentence = f"those of version {holder} were changed: SHA-256 {found}, not {expected} of entry {entry}"
        yield Check("files", CheckOutcome.FAILED, sentence)


def _short(value: object) -> str:
    return f"{value!r:.100}"

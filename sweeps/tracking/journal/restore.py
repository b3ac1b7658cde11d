"""Opening a sweep's journal: a missing, damaged or outdated file is rebuilt from the segments in the sweep's folder."""

import logging
import sqlite3
from contextlib import suppress
from typing import Any

from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import Place
from sweeps.storage.private_files import explained_errors, read_file, refuse_links
from sweeps.tracking.journal.database import (
    DamagedJournal,
    MissingJournal,
    check_values,
    create_database,
    damaged,
    in_memory_database,
    insert_rows,
)
from sweeps.tracking.journal.entry_parsing import parse_delivered
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.segments import SegmentContents, holds, list_segments, read_segments

_ASIDE = ".set-aside"
_MAX_DELIVERED_BYTES = 64 * 2**20  # about 100 bytes for each trial

logger = logging.getLogger(__name__)


def open_journal(folder: SweepFolder) -> Journal:
    """Open the journal of a sweep that this process owns, for writing; repair it and its segments if necessary.

    Repairs are logged. Raises DamagedJournal if the journal is missing or damaged and no segment is left to rebuild it,
    StorageError if the folder cannot be read or written.
    """
    with explained_errors(folder.path):
        for part in (folder.path, folder.path / "points", folder.local):
            refuse_links(part)
        return _open(folder)


def _open(folder: SweepFolder) -> Journal:
    contents = read_segments(folder.segments)
    try:
        journal = _require_complete(Journal.open(folder.journal), contents)
    except (FileNotFoundError, DamagedJournal) as error:
        if not contents.rows:
            raise _beyond_repair(folder, error) from None
        journal = _rebuild(folder, contents)
        _log_rebuild(folder, error, contents)
    else:
        if contents.damage:
            logger.warning("The journal of %s writes these segments again: %s", folder.id, _damage_of(contents))
    if contents.used or journal.delivery.committed() is not None:
        journal.delivery.set_committed(len(contents.rows))
        _set_aside_unused(folder, contents)
    return journal


def read_journal(folder: SweepFolder) -> Journal:
    """Open the journal of a sweep for reading: the file, or a copy in memory of its segments.

    Raises the errors of `open_journal`.
    """
    with explained_errors(folder.path):
        return _read(folder)


def _read(folder: SweepFolder) -> Journal:
    try:
        return _require_current(Journal.open(folder.journal, read_only=True), folder)
    except (FileNotFoundError, DamagedJournal) as error:
        contents = read_segments(folder.segments)
        if not contents.rows:
            raise _beyond_repair(folder, error) from None
        connection = in_memory_database()
        _insert(connection, contents, folder)
        journal = Journal(folder.journal, connection)
        _restore_delivered(journal, folder)
        if folder.local == folder.path or contents.damage:  # otherwise the journal may be on another host
            _log_rebuild(folder, error, contents)
        return journal


def _require_complete(journal: Journal, contents: SegmentContents) -> Journal:
    """Return the journal if it holds all entries of the segments; otherwise the sweep was resumed on another host."""
    if journal.rows(1, len(contents.rows)) != list(contents.rows):
        journal.close()
        raise DamagedJournal(f"{journal.path} must hold the entries of its segments, and is older")
    return journal


def _require_current(journal: Journal, folder: SweepFolder) -> Journal:
    """Return the journal if it holds the entries of the last segment, unless the segments are on the same disk.

    If the sweep was resumed on another host, it does not, even if it has as many entries.
    """
    segments = list_segments(folder.segments) if folder.local != folder.path else []
    if segments:
        last = max(segments, key=lambda segment: segment.last)
        if not holds(last, journal.rows(last.first, len(last))):
            journal.close()
            raise DamagedJournal(f"{journal.path} must be as recent as the segments, and is older")
    return journal


def _rebuild(folder: SweepFolder, contents: SegmentContents) -> Journal:
    """Replace the journal by one with the entries of the segments; keep the old file beside it."""
    for suffix in ("-wal", "-shm", ""):
        old = folder.journal.with_name(f"{folder.journal.name}{suffix}")
        with suppress(FileNotFoundError):
            old.replace(old.with_name(f"{old.name}{_ASIDE}"))
    with create_database(folder.journal) as connection:
        _insert(connection, contents, folder)
        _restore_delivered(Journal(folder.journal, connection), folder)
    return Journal.open(folder.journal)


def _insert(connection: sqlite3.Connection, contents: SegmentContents, folder: SweepFolder) -> None:
    try:
        insert_rows(connection, contents.rows)
        check_values(folder.journal, connection)
    except sqlite3.Error as error:  # two entries that exclude each other, such as two starts of a trial
        raise damaged(folder.journal, f"its segments cannot replace it ({error})") from None


def _beyond_repair(folder: SweepFolder, error: Exception) -> DamagedJournal:
    """Return the error for a journal that cannot be read, of which no segment is left either."""
    if isinstance(error, DamagedJournal):
        return error
    return MissingJournal(
        f"{folder.path} must have the journal of a sweep or its segments, and has neither: restore them from a backup, "
        f"or remove the sweep with `sweeps delete {folder.id} --force`"
    )


def _restore_delivered(journal: Journal, folder: SweepFolder) -> None:
    """Mark what MLflow is known to have; the rest is sent again, which is harmless."""
    with suppress(OSError, ValueError):
        journal.delivery.restore_delivered(parse_delivered(read_file(folder.delivered, _MAX_DELIVERED_BYTES)))


def _set_aside_unused(folder: SweepFolder, contents: SegmentContents) -> None:
    """Rename the segments that were not used: new ones replace them."""
    for segment in contents.unused:
        _rename(folder.segments / segment.name, f"{segment.name}{_ASIDE}")


def _rename(path: Place, name: str) -> None:
    target: Any = path.with_name(name)  # mypy does not see that it has the type of `path`
    path.replace(target)


def _log_rebuild(folder: SweepFolder, error: Exception, contents: SegmentContents) -> None:
    is_missing = isinstance(error, FileNotFoundError)
    what = "missing" if is_missing else "damaged or older than its segments"
    damage = f"; {_damage_of(contents)}" if contents.damage else ""
    message = "The journal of %s is %s: using its %d entries from the segments in %s%s"
    logger.warning(message, folder.id, what, len(contents.rows), folder.segments, damage)


def _damage_of(contents: SegmentContents) -> str:
    return ", ".join(contents.damage)

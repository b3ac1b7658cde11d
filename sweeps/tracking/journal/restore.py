"""Opens a sweep's journal; where the file is lost, damaged or old, it is rebuilt from the folder's segments."""

import json
import logging
from contextlib import suppress
from typing import Any

from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import Place
from sweeps.tracking.journal.database import (
    DamagedJournal,
    create_database,
    in_memory_database,
    insert_rows,
)
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import Delivered
from sweeps.tracking.journal.segments import SegmentContents, holds, list_segments, read_segments

_ASIDE = ".set-aside"

logger = logging.getLogger(__name__)


def open_journal(folder: SweepFolder) -> Journal:
    """The journal of a sweep that the caller holds, to write to; what is wrong with it or its segments is mended.

    A line says so. FileNotFoundError where there is neither, DamagedJournal where no segment is left to rebuild it.
    """
    reading = read_segments(folder.segments)
    try:
        journal = _with_all(Journal.open(folder.journal), reading)
    except (FileNotFoundError, DamagedJournal) as error:
        if not reading.rows:
            raise
        journal = _rebuilt(folder, reading)
        _tell(folder, error, reading)
    else:
        if reading.damage:
            logger.warning("The journal of %s writes again what its folder lacks: %s", folder.id, _listed(reading))
    if reading.used or journal.delivery.committed() is not None:
        journal.delivery.set_committed(len(reading.rows))
        _set_aside_others(folder, reading)
    return journal


def read_journal(folder: SweepFolder) -> Journal:
    """The journal of a sweep, to look at: the file, or a copy in memory of what the segments hold.

    Raises what `open_journal` does.
    """
    try:
        return _not_behind(Journal.open(folder.journal, read_only=True), folder)
    except (FileNotFoundError, DamagedJournal) as error:
        reading = read_segments(folder.segments)
        if not reading.rows:
            raise
        connection = in_memory_database()
        insert_rows(connection, reading.rows)
        journal = Journal(folder.journal, connection)
        _take_up_delivered(journal, folder)
        if folder.local == folder.path or reading.damage:  # else it may well be another host's
            _tell(folder, error, reading)
        return journal


def _with_all(journal: Journal, reading: SegmentContents) -> Journal:
    """The journal, if it has what the segments hold: else the sweep went on elsewhere, and they were written there."""
    if journal.rows(1, len(reading.rows)) != list(reading.rows):
        journal.close()
        raise DamagedJournal(f"{journal.path} must hold what the segments do, and is of an earlier time")
    return journal


def _not_behind(journal: Journal, folder: SweepFolder) -> Journal:
    """The journal, if it has what the last segment holds, where segments do not lie beside it.

    Where the sweep went on elsewhere, it has not: also where it has as many entries of its own.
    """
    segments = list_segments(folder.segments) if folder.local != folder.path else []
    if segments:
        last = max(segments, key=lambda segment: segment.last)
        if not holds(last, journal.rows(last.first, len(last))):
            journal.close()
            raise DamagedJournal(f"{journal.path} is of an earlier time than the segments")
    return journal


def _rebuilt(folder: SweepFolder, reading: SegmentContents) -> Journal:
    """The journal made anew in the place of the old one, which is kept beside it."""
    for suffix in ("-wal", "-shm", ""):
        old = folder.journal.with_name(f"{folder.journal.name}{suffix}")
        with suppress(FileNotFoundError):
            old.replace(old.with_name(f"{old.name}{_ASIDE}"))
    with create_database(folder.journal) as connection:
        insert_rows(connection, reading.rows)
        _take_up_delivered(Journal(folder.journal, connection), folder)
    return Journal.open(folder.journal)


def _take_up_delivered(journal: Journal, folder: SweepFolder) -> None:
    """Mark what MLflow is known to have: the rest is sent again, which changes nothing where it has it."""
    with suppress(OSError, ValueError, TypeError):
        journal.delivery.set_delivered(Delivered(**json.loads(folder.delivered.read_bytes())))


def _set_aside_others(folder: SweepFolder, reading: SegmentContents) -> None:
    """Give segments that were not used another name: what is written from now on takes their place."""
    for segment in reading.unused:
        _rename(folder.segments / segment.name, f"{segment.name}{_ASIDE}")


def _rename(path: Place, name: str) -> None:
    target: Any = path.with_name(name)  # of the same kind as the path, which mypy does not tell
    path.replace(target)


def _tell(folder: SweepFolder, error: Exception, reading: SegmentContents) -> None:
    is_missing = isinstance(error, FileNotFoundError)
    what = "missing" if is_missing else "damaged or older than its segments"
    damage = f"; {_listed(reading)}" if reading.damage else ""
    told = "The journal of %s is %s: its %d entries are taken from the segments in %s%s"
    logger.warning(told, folder.id, what, len(reading.rows), folder.segments, damage)


def _listed(reading: SegmentContents) -> str:
    return ", ".join(reading.damage)

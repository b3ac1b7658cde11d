"""The journal's SQLite file: its tables, and how it is opened, made, and filled anew from what was copied elsewhere.

Several threads use a connection in turn.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeps.errors import SweepError

# The body as JSON.
ENTRY_COLUMNS = "entry_id, kind, point_id, epoch, time_ms, body"
EntryRow = tuple[int, str, str | None, int | None, int, str]

_VERSION = 1
_BUSY_SECONDS = 5.0
_SCHEMA = f"""
BEGIN;
CREATE TABLE entries (
    entry_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    point_id TEXT,
    epoch INTEGER,
    time_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    delivery TEXT NOT NULL DEFAULT 'pending',  -- pending, shipped or refused
    refusal TEXT
);
CREATE UNIQUE INDEX one_start ON entries (point_id) WHERE kind = 'point_start';
CREATE UNIQUE INDEX one_epoch ON entries (point_id, epoch) WHERE kind = 'epoch';
CREATE UNIQUE INDEX one_figure ON entries (point_id, epoch, json_extract(body, '$.name'))
    WHERE kind = 'figure' AND epoch IS NOT NULL;
CREATE INDEX by_kind ON entries (kind, point_id);
CREATE INDEX still_pending ON entries (entry_id) WHERE delivery = 'pending';
CREATE TABLE store (uri TEXT NOT NULL, experiment_id TEXT);  -- one row, once delivery has begun
CREATE TABLE runs (point_id TEXT PRIMARY KEY, run_id TEXT NOT NULL);  -- the sweep's own run has the point ''
CREATE TABLE committed (through INTEGER NOT NULL);  -- one row, once entries are copied to the sweep's folder
PRAGMA user_version = {_VERSION};
COMMIT;
"""


class DamagedJournal(SweepError):
    """The file is not what this package has written, or not all of it."""


class SharedConnection:
    """A connection to a journal's file for several threads: whoever holds `lock` has it to itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.lock = threading.RLock()
        self._connection = connection

    def query(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Give the rows that a query finds."""
        with self.lock:
            return self._connection.execute(query, values).fetchall()

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement, which is a transaction of its own."""
        with self.lock:
            return self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Let what is written in the context be written as a whole, or not at all."""
        with self.lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        with self.lock:
            self._connection.close()


def open_database(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a journal's file; FileNotFoundError where there is none, DamagedJournal where it cannot be read."""
    if not path.is_file():
        raise FileNotFoundError(path)
    connection = None
    try:
        connection = _connect(path, "ro" if read_only else "rw")
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        damage = [line for (line,) in connection.execute("PRAGMA quick_check") if line != "ok"]
    except sqlite3.OperationalError as error:
        _close(connection)
        raise SweepError(f"{path} must be the journal of a sweep, but cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        _close(connection)
        raise DamagedJournal(f"{path} must be the journal of a sweep, but cannot be read: {error}") from error
    if damage or version == 0:  # as an empty file has it
        _close(connection)
        raise DamagedJournal(f"{path} must be the journal of a sweep, but is damaged: {(damage or ['it is empty'])[0]}")
    if version != _VERSION:
        _close(connection)
        raise SweepError(f"{path} must be a journal of version {_VERSION}, not {version}: use the matching sweeps")
    return connection


@contextmanager
def create_database(path: Path) -> Iterator[sqlite3.Connection]:
    """A new file to fill, under another name until the context ends, for whoever finds a journal to find a whole one.

    FileExistsError where there is a journal by then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    remove_database(partial)  # of a process that was killed while it made one
    partial.touch()
    try:
        connection = _connect(partial, "rw")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            yield connection
        finally:
            connection.close()
        path.hardlink_to(partial)
    finally:
        remove_database(partial)


def in_memory_database() -> sqlite3.Connection:
    """A new journal that no file holds."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def remove_database(path: Path) -> None:
    """Remove a journal's file with what SQLite keeps beside it, where they are there."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def insert_rows(connection: sqlite3.Connection, rows: Iterable[EntryRow]) -> None:
    """Put entries into a new journal, under the ids that they had."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        statement = "INSERT INTO entries (entry_id, kind, point_id, epoch, time_ms, body) VALUES (?, ?, ?, ?, ?, ?)"
        connection.executemany(statement, rows)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    # A commit then survives the death of the process, not a power cut; `Journal.flush` is for that.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()

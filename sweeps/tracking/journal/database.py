"""The journal's SQLite file: its tables, and how it is created, opened and rebuilt."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeps.errors import SweepError

# The columns of an entry; `body` is JSON.
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
    """The file is not a journal, or not a complete one."""


class SharedConnection:
    """A connection to a journal's file that several threads share; `lock` gives a thread exclusive use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.lock = threading.RLock()
        self._connection = connection

    def query(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query."""
        with self.lock:
            return self._connection.execute(query, values).fetchall()

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement as its own transaction."""
        with self.lock:
            return self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the context as one transaction."""
        with self.lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        with self.lock:
            self._connection.close()


def open_database(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a journal's file; FileNotFoundError if there is none, DamagedJournal if it cannot be read."""
    if not path.is_file():
        raise FileNotFoundError(path)
    connection = None
    try:
        connection = _connect(path, "ro" if read_only else "rw")
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        damage = [line for (line,) in connection.execute("PRAGMA quick_check") if line != "ok"]
    except sqlite3.OperationalError as error:
        _close(connection)
        raise SweepError(
            f"{path} must be the journal of a sweep, but cannot be opened ({error}): check its permissions"
        ) from error
    except sqlite3.DatabaseError as error:
        _close(connection)
        raise DamagedJournal(
            f"{path} must be the journal of a sweep, but cannot be read ({error}): restore it from a backup"
        ) from error
    if damage or version == 0:  # the version of an empty file
        _close(connection)
        problem = damage[0] if damage else "it is empty"
        raise DamagedJournal(
            f"{path} must be the journal of a sweep, but is damaged ({problem}): restore it from a backup"
        )
    if version != _VERSION:
        _close(connection)
        raise SweepError(
            f"{path} must be a journal of version {_VERSION}, not {version}: use the version of sweeps that wrote it"
        )
    return connection


@contextmanager
def create_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Create a journal's file atomically: it has a temporary name until the context ends.

    FileExistsError if there is a journal by then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    remove_database(partial)  # left by a killed process
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
    """Create a journal in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def remove_database(path: Path) -> None:
    """Remove a journal's file, and those that SQLite keeps beside it, if they exist."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def insert_rows(connection: sqlite3.Connection, rows: Iterable[EntryRow]) -> None:
    """Insert entries into a new journal, with their ids."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        statement = "INSERT INTO entries (entry_id, kind, point_id, epoch, time_ms, body) VALUES (?, ?, ?, ?, ?, ?)"
        connection.executemany(statement, rows)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    # A commit survives the death of the process but not a power cut: `Journal.flush` is for that.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()

"""The journal's SQLite file: its tables, and how it is created, opened and rebuilt."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from sweeps.errors import SweepError
from sweeps.storage.private_files import make_folder, open_file
from sweeps.tracking.journal.records import EntryKind

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


# Milliseconds since 1970 through the year 9999, and the largest count or epoch: beyond them, no date can be shown, and
# no number be stored.
LAST_MS = 253_402_300_799_999
MAX_COUNT = 2**53
_MAX_BODY_CHARACTERS = 16 * 2**20
# A line for each row that has values of other types or ranges than `_SCHEMA` says: SQLite stores any value anywhere.
_KINDS = ", ".join(f"'{kind}'" for kind in EntryKind)
_ILL_TYPED = f"""
    SELECT 'its entry ' || entry_id || ' is damaged' FROM entries
    WHERE kind NOT IN ({_KINDS}) OR typeof(coalesce(point_id, '')) <> 'text' OR typeof(body) <> 'text'
        OR length(body) > {_MAX_BODY_CHARACTERS} OR typeof(coalesce(epoch, 0)) <> 'integer'
        OR coalesce(epoch, 0) NOT BETWEEN 0 AND {MAX_COUNT} OR typeof(time_ms) <> 'integer'
        OR time_ms NOT BETWEEN 0 AND {LAST_MS} OR entry_id NOT BETWEEN 1 AND {MAX_COUNT}
        OR typeof(delivery) <> 'text' OR typeof(coalesce(refusal, '')) <> 'text'
    UNION ALL SELECT 'its delivery state is damaged' FROM store
    WHERE typeof(uri) <> 'text' OR typeof(coalesce(experiment_id, '')) <> 'text'
    UNION ALL SELECT 'its delivery state is damaged' FROM runs
    WHERE typeof(point_id) <> 'text' OR typeof(run_id) <> 'text'
    UNION ALL SELECT 'its delivery state is damaged' FROM committed
    WHERE typeof(through) <> 'integer' OR through NOT BETWEEN 0 AND {MAX_COUNT}
    LIMIT 1
"""  # noqa: S608
_PRIMARY_CODE = 0xFF


class DamagedJournal(SweepError):
    """The file is not a journal, or not a complete one."""


class MissingJournal(DamagedJournal, FileNotFoundError):
    """There is no journal, and nothing to rebuild it from."""


class UnreadableJournal(SweepError, sqlite3.OperationalError):
    """The journal cannot be read for now, or by this user: it is locked, or the disk fails."""


def damaged(path: Path, problem: str) -> DamagedJournal:
    """Return the error for a damaged journal, which says what to do."""
    return DamagedJournal(
        f"{path} must be the journal of a sweep, but {problem}: restore it from a backup, or remove the sweep with "
        f"`sweeps delete {path.parent.name} --force`"
    )


class SharedConnection:
    """A connection to a journal's file that several threads share; `lock` gives a thread exclusive use."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._connection = connection

    def query(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query; DamagedJournal or UnreadableJournal if they cannot be read."""
        with self.lock, _translated(self.path):
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
    if not path.exists():
        raise FileNotFoundError(path)
    if not path.is_file():
        raise damaged(path, "is not a regular file")
    with _translated(path), ExitStack() as if_it_fails:
        connection = if_it_fails.enter_context(closing(_connect(path, "ro" if read_only else "rw")))
        _check(path, connection)
        if_it_fails.pop_all()
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    damage = [line for (line,) in connection.execute("PRAGMA quick_check") if line != "ok"]
    if damage or version == 0:  # the version of an empty file
        raise damaged(path, f"is damaged ({damage[0] if damage else 'it is empty'})")
    if version != _VERSION:
        raise SweepError(
            f"{path} must be a journal of version {_VERSION}, not {version}: use the version of sweeps that wrote it"
        )
    check_values(path, connection)


def check_values(path: Path, connection: sqlite3.Connection) -> None:
    """Raise DamagedJournal if a value has another type or range than this program writes."""
    for (problem,) in connection.execute(_ILL_TYPED):
        raise damaged(path, problem)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors while reading into DamagedJournal or UnreadableJournal."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except UnicodeDecodeError:  # in SQLite's own message, which names a damaged table
        raise damaged(path, "cannot be read") from None
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
        if not isinstance(error, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR:
            raise damaged(path, f"cannot be read ({error})") from error
        raise UnreadableJournal(
            f"{path} must be the journal of a sweep, but cannot be opened ({error}): check its permissions, and "
            "whether another process locks it"
        ) from error


@contextmanager
def create_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Create a journal's file atomically: it has a temporary name until the context ends.

    FileExistsError if there is a journal by then.
    """
    make_folder(path.parent)
    partial = path.with_name(f"{path.name}.partial")
    remove_database(partial)  # left by a killed process
    os.close(open_file(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL))
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

"""Queries on the journal's entries: by kind or id, a point's metrics, and times."""

from collections.abc import Sequence

from sweeps.tracking.journal.database import ENTRY_COLUMNS, EntryRow, SharedConnection, damaged
from sweeps.tracking.journal.entry_parsing import parse_entry
from sweeps.tracking.journal.records import Entry, EntryKind

_NO_LIMIT = -1  # as SQLite has it
# Per entry: whether a run of the sweep starts with it, whether it extends the sweep, and when it was recorded.
_TIMES = """
    SELECT kind IN ('sweep_start', 'sweep_resume'),
           kind = 'sweep_resume' AND json_type(body, '$.config') <> 'null',
           time_ms
    FROM entries ORDER BY entry_id
"""


def entries_of(connection: SharedConnection, kinds: Sequence[EntryKind], point_id: str | None = None) -> list[Entry]:
    """Return the entries of some kinds in order, of one point or, with None, of all."""
    marks = ", ".join("?" * len(kinds))
    which = "" if point_id is None else "AND point_id = ?"
    query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE kind IN ({marks}) {which} ORDER BY entry_id"  # noqa: S608
    rows = connection.query(query, [*kinds, *([] if point_id is None else [point_id])])
    return [parse_entry(row, connection.path) for row in rows]


def n_entries(connection: SharedConnection, kind: EntryKind, point_id: str) -> int:
    """Return how many entries of a kind there are of a point."""
    query = "SELECT count(*) FROM entries WHERE kind = ? AND point_id = ?"
    ((count,),) = connection.query(query, (kind, point_id))
    return int(count)


def has_entry(connection: SharedConnection, kinds: Sequence[EntryKind]) -> bool:
    """Return whether there is an entry of one of these kinds."""
    marks = ", ".join("?" * len(kinds))
    return bool(connection.query(f"SELECT 1 FROM entries WHERE kind IN ({marks}) LIMIT 1", kinds))  # noqa: S608


def read_rows(connection: SharedConnection, first: int, limit: int | None = None) -> list[EntryRow]:
    """Return entries from the id `first` on, at most `limit`, as they are stored."""
    query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE entry_id >= ? ORDER BY entry_id LIMIT ?"  # noqa: S608
    return [(*row,) for row in connection.query(query, (first, _NO_LIMIT if limit is None else limit))]


def read_history(connection: SharedConnection, point_id: str) -> list[tuple[int, dict[str, float]]]:
    """Return the metrics of a point by epoch."""
    entries = entries_of(connection, (EntryKind.EPOCH,), point_id)
    return sorted(((entry.epoch or 0, entry.body["metrics"]) for entry in entries), key=lambda epoch: epoch[0])


def last_epochs(connection: SharedConnection) -> dict[str, int]:
    """Return the last recorded epoch of each point that has one."""
    query = "SELECT point_id, max(epoch) FROM entries WHERE kind = 'epoch' AND epoch IS NOT NULL GROUP BY point_id"
    return {str(point_id): int(epoch) for point_id, epoch in connection.query(query)}


def check_start(connection: SharedConnection) -> None:
    """Raise DamagedJournal unless the first entry is the start of the sweep."""
    first = connection.query("SELECT kind FROM entries ORDER BY entry_id LIMIT 1")
    if first != [(EntryKind.SWEEP_START,)]:
        raise damaged(connection.path, "does not begin with the start of a sweep")


def last_id(connection: SharedConnection) -> int:
    """Return the id of the last entry, 0 if there is none."""
    ((entry_id,),) = connection.query("SELECT coalesce(max(entry_id), 0) FROM entries")
    return int(entry_id)


def last_ms(connection: SharedConnection) -> int:
    """Return the time of the last entry."""
    ((time_ms,),) = connection.query("SELECT max(time_ms) FROM entries")
    return int(time_ms)


def seconds_spent(connection: SharedConnection) -> float:
    """Return how long the sweep has run since its start or last extension, without the time between its runs.

    A run whose process was lost has no end entry: it lasted at least until the last entry that it recorded.
    """
    spans: list[list[int]] = []
    for starts, extends, time_ms in connection.query(_TIMES):
        if extends:
            spans.clear()
        if starts:
            spans.append([time_ms, time_ms])
        spans[-1][1] = max(spans[-1][1], time_ms)
    return sum(last - first for first, last in spans) / 1000

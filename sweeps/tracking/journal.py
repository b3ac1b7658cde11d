"""The journal: everything that happened in a sweep, in order, on the driver's own disk.

It is a list of entries that are only ever added to, with a mark on each that MLflow has; how the sweep and its points
stand is told by reading them in order. SQLite with a write-ahead log, so that one process writes while others read; the
file must lie on a local disk. A process that dies loses nothing that was recorded. What the disk does not take for now
waits in memory (`sweeps.tracking.backlog`).
"""

import json
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sweeps.tracking.backlog import Backlog, JournalBehind, Row
from sweeps.tracking.database import EntryRow, made_database, open_database
from sweeps.tracking.records import (
    Delivered,
    Entry,
    EntryKind,
    PointRecord,
    PointState,
    SweepRecord,
    SweepState,
    point_after,
    start_of,
    sweep_after,
)

_CATCH_UP_SECONDS = 1.0
_EVERY = 2**62


class Journal:
    """The record of one sweep and the queue of what MLflow has yet to get. Safe to use from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()
        self._backlog = Backlog(path, self._insert)

    @classmethod
    def create(cls, path: str | Path, sweep: SweepRecord) -> "Journal":
        """Start the journal of a sweep; FileExistsError where there is one already."""
        path = Path(path)
        with made_database(path) as connection:
            cls(path, connection)._append(EntryKind.SWEEP_START, None, sweep.start_ms, start_of(sweep))
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, *, read_only: bool = False) -> "Journal":
        """Open a journal that exists; `read_only` is for onlookers.

        FileNotFoundError where there is none, DamagedJournal where it cannot be read.
        """
        return cls(Path(path), open_database(Path(path), read_only=read_only))

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start_point(self, point: PointRecord) -> bool:
        """Record that a point's training starts; False, and nothing changes, where it has started before."""
        return self._append(EntryKind.POINT_START, point.point_id, point.start_ms, start_of(point))

    def record_epoch(self, point_id: str, epoch: int, metrics: Mapping[str, float], time_ms: int) -> bool:
        """Record the metrics of one epoch; NaN and infinities are kept.

        What was recorded first stays: a retried trial repeats the epochs since its checkpoint, and MLflow, which may
        have the first values by then, cannot replace a metric. False where the epoch was there already.
        """
        values = {name: float(value) for name, value in metrics.items()}
        return self._append(EntryKind.EPOCH, point_id, time_ms, {"metrics": values}, epoch)

    def record_figure(
        self, point_id: str | None, name: str, kind: str, source: str, time_ms: int, epoch: int | None = None
    ) -> None:
        """Ask for a figure in a point's run, or the parent's where `point_id` is None; for one of an `epoch` once.

        `name` is its path among the run's artifacts (`filters/epoch-0004.png`), `kind` one that `figures.draw` knows,
        `source` the file that it is drawn from, relative to the sweep folder; "" for a kind that is made from the
        journal itself.
        """
        self._append(EntryKind.FIGURE, point_id, time_ms, {"name": name, "kind": kind, "source": source}, epoch)

    def retry_point(self, point_id: str, reason: str, time_ms: int) -> None:
        """Record that a point runs again: its process or node was lost, or the sweep is resumed."""
        self._append(EntryKind.POINT_RETRY, point_id, time_ms, {"reason": reason})

    def end_point(
        self,
        point_id: str,
        state: PointState,
        reason: str | None,
        tags: Mapping[str, str],
        time_ms: int,
        diagnosis: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Record how a point ended; `tags` are added to those of its start.

        `diagnosis` holds its faults, gravest first: the tag `sweeps.diagnosis` names them in its run, and a figure of
        the kind "diagnosis" tells them in full.
        """
        body: dict[str, Any] = {"state": state, "reason": reason, "tags": dict(tags)}
        if diagnosis is not None:
            body["diagnosis"] = [dict(finding) for finding in diagnosis]
        self._append(EntryKind.POINT_END, point_id, time_ms, body)

    def resume_sweep(self, config: Mapping[str, Any] | None, tags: Mapping[str, str], time_ms: int) -> None:
        """Record that the sweep goes on, with more to do where `config` is another one; `tags` are its run's."""
        self._append(EntryKind.SWEEP_RESUME, None, time_ms, {"config": config, "tags": dict(tags)})

    def end_sweep(self, state: SweepState, description: str, tags: Mapping[str, str], time_ms: int) -> None:
        """Record how the sweep ended; `description` is the Markdown that the parent run shows from then on."""
        body = {"state": state, "description": description, "tags": dict(tags)}
        self._append(EntryKind.SWEEP_END, None, time_ms, body)

    def sweep(self) -> SweepRecord:
        """Give the sweep as it stands."""
        start, *later = self._entries((EntryKind.SWEEP_START, EntryKind.SWEEP_RESUME, EntryKind.SWEEP_END))
        experiment_ids = [experiment_id for (experiment_id,) in self._query("SELECT experiment_id FROM store")]
        experiment_id = experiment_ids[0] if experiment_ids else None
        record = SweepRecord(**start.body, experiment_id=experiment_id, run_id=self.run_ids().get(None))
        return reduce(sweep_after, later, record)

    def points(self) -> list[PointRecord]:
        """Give every point as it stands, by its index."""
        return sorted(self._points(None).values(), key=lambda record: record.index)

    def has_begun(self) -> bool:
        """Tell whether any point has been reported on."""
        return bool(self._query("SELECT 1 FROM entries WHERE kind = ? LIMIT 1", (EntryKind.EPOCH,)))

    def point(self, point_id: str) -> PointRecord | None:
        """Give one point as it stands, None where it has not started."""
        return self._points(point_id).get(point_id)

    def history(self, point_id: str) -> list[tuple[int, dict[str, float]]]:
        """Give the metrics of a point, epoch by epoch."""
        query = "SELECT epoch, body FROM entries WHERE kind = ? AND point_id = ? ORDER BY epoch"
        rows = self._query(query, (EntryKind.EPOCH, point_id))
        return [(epoch, json.loads(body)["metrics"]) for epoch, body in rows]

    def seconds_spent(self) -> float:
        """Give the time that the sweep has run, all starts together, since it began or was last given more to do.

        A sweep whose process was lost has no end: it ran at least until the last thing that it recorded.
        """
        spans: list[list[int]] = []
        for starts, extends, time_ms in self._query(_TIMES):
            if extends:
                spans.clear()
            if starts:
                spans.append([time_ms, time_ms])
            spans[-1][1] = max(spans[-1][1], time_ms)
        return sum(last - first for first, last in spans) / 1000

    def last_ms(self) -> int:
        """Give the time of the last thing that happened."""
        ((time_ms,),) = self._query("SELECT max(time_ms) FROM entries")
        return int(time_ms)

    def counts(self) -> dict[PointState, int]:
        """Count the points in each state; every state is there."""
        found = Counter(record.state for record in self.points())
        return {state: found[state] for state in PointState}

    def pending(self, limit: int, *, figures: bool | None = None) -> list[Entry]:
        """Give the oldest entries that MLflow has yet to get, at most `limit`, in order.

        `figures` asks for figures only, or for all but figures. Where entries are copied to the sweep's folder, those
        that are: what MLflow has, a journal that is rebuilt has, too, with the same times.
        """
        which = {None: "", True: "AND kind = 'figure'", False: "AND kind <> 'figure'"}[figures]
        ready = f"delivery = 'pending' AND entry_id <= ? {which}"
        query = f"SELECT {_COLUMNS} FROM entries WHERE {ready} ORDER BY entry_id LIMIT ?"  # noqa: S608
        through = self.committed()
        return [_entry(row) for row in self._query(query, (_EVERY if through is None else through, limit))]

    def n_pending(self) -> int:
        """Count the entries that MLflow has yet to get."""
        ((count,),) = self._query("SELECT count(*) FROM entries WHERE delivery = 'pending'")
        return int(count)

    def mark_shipped(self, entry_ids: Iterable[int]) -> None:
        """Record that MLflow has these entries."""
        self._mark("UPDATE entries SET delivery = 'shipped', refusal = NULL WHERE entry_id = ?", entry_ids)

    def mark_refused(self, entry_ids: Iterable[int], refusal: str) -> None:
        """Record that MLflow will never take these entries, and why in one line, so that they hold up no others."""
        self._mark("UPDATE entries SET delivery = 'refused', refusal = ? WHERE entry_id = ?", entry_ids, refusal)

    def refusals(self) -> list[tuple[int, str]]:
        """Give the entries that MLflow will never take, with the reason."""
        return self._query("SELECT entry_id, refusal FROM entries WHERE delivery = 'refused' ORDER BY entry_id")

    def deliver_to(self, store: str) -> None:
        """Name the store that gets the entries. Another one than before gets all of them, into runs of its own."""
        with self._transaction():
            if self.store() == store:
                return
            for statement in ("DELETE FROM store", "DELETE FROM runs", "UPDATE entries SET delivery = 'pending'"):
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO store (uri) VALUES (?)", (store,))

    def store(self) -> str | None:
        """Give the URI, without credentials, of the store that gets the entries; None before delivery has begun."""
        return next((uri for (uri,) in self._query("SELECT uri FROM store")), None)

    def rows(self, first: int, limit: int = _EVERY) -> list[EntryRow]:
        """Give entries from the id `first` on, at most `limit`, as they are stored."""
        query = f"SELECT {_COLUMNS} FROM entries WHERE entry_id >= ? ORDER BY entry_id LIMIT ?"  # noqa: S608
        return [(*row,) for row in self._query(query, (first, limit))]

    def committed(self) -> int | None:
        """Give the id through which the sweep's folder has the entries; None where they are not copied there."""
        return next((int(through) for (through,) in self._query("SELECT through FROM committed")), None)

    def set_committed(self, through: int) -> None:
        """Record through which id the sweep's folder has the entries."""
        with self._transaction():
            self._connection.execute("DELETE FROM committed")
            self._connection.execute("INSERT INTO committed VALUES (?)", (through,))

    def delivered(self) -> Delivered | None:
        """Give what MLflow has; None before delivery has begun."""
        query = "SELECT coalesce(min(entry_id) - 1, ?) FROM entries WHERE delivery <> 'shipped'"
        for uri, experiment_id in self._query("SELECT uri, experiment_id FROM store"):
            ((through,),) = self._query(query, (self.last_id(),))
            return Delivered(uri, experiment_id, through, {point or "": run for point, run in self.run_ids().items()})
        return None

    def set_delivered(self, delivered: Delivered) -> None:
        """Take up what is known of a delivery by a journal that is lost."""
        with self._transaction():
            self._connection.execute("INSERT INTO store VALUES (?, ?)", (delivered.store, delivered.experiment_id))
            self._connection.executemany("INSERT INTO runs VALUES (?, ?)", delivered.runs.items())
            shipped = "UPDATE entries SET delivery = 'shipped' WHERE entry_id <= ?"
            self._connection.execute(shipped, (delivered.through,))

    def last_id(self) -> int:
        """Give the id of the last entry: 0 where there is none."""
        ((entry_id,),) = self._query("SELECT coalesce(max(entry_id), 0) FROM entries")
        return int(entry_id)

    def set_experiment_id(self, experiment_id: str) -> None:
        """Record which experiment of the store the runs are in."""
        with self._lock:
            self._connection.execute("UPDATE store SET experiment_id = ?", (experiment_id,))

    def set_run_id(self, point_id: str | None, run_id: str) -> None:
        """Record which MLflow run is a point's; None: the parent run."""
        with self._lock:
            self._connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (point_id or "", run_id))

    def run_ids(self) -> dict[str | None, str]:
        """Give the MLflow run of each point that has one; the parent's under None."""
        return {point_id or None: run_id for point_id, run_id in self._query("SELECT point_id, run_id FROM runs")}

    @property
    def is_behind(self) -> bool:
        """Whether something that happened is not recorded yet, for the disk takes nothing."""
        with self._lock:
            return not self._backlog.catch_up()

    @property
    def problem(self) -> str | None:
        """In one line, why the journal is behind and what to do; None where it is not."""
        with self._lock:
            return self._backlog.problem

    def catch_up(self, patience_seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Record what waits, for as long as the disk may need; JournalBehind where it takes longer."""
        deadline = time.monotonic() + patience_seconds
        while True:
            with self._lock:
                if self._backlog.catch_up(at_once=True):
                    return
            if is_cancelled() or time.monotonic() > deadline:
                raise JournalBehind(f"{self.problem}")
            time.sleep(_CATCH_UP_SECONDS)

    def flush(self) -> None:
        """Have everything recorded so far survive a power cut, too."""
        log = self.path.with_name(f"{self.path.name}-wal")
        with self._lock:
            if log.exists():
                descriptor = os.open(log, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _append(
        self, kind: EntryKind, point_id: str | None, time_ms: int, body: Mapping[str, Any], epoch: int | None = None
    ) -> bool:
        with self._lock:
            return self._backlog.add((kind, point_id, epoch, time_ms, json.dumps(body)))

    def _insert(self, row: Row) -> bool:
        statement = (
            "INSERT INTO entries (kind, point_id, epoch, time_ms, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        return self._connection.execute(statement, row).rowcount == 1

    def _mark(self, statement: str, entry_ids: Iterable[int], *values: str) -> None:
        with self._transaction():
            self._connection.executemany(statement, [(*values, entry_id) for entry_id in entry_ids])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def _points(self, point_id: str | None) -> dict[str, PointRecord]:
        """Give one point, or all where `point_id` is None."""
        run_ids = self.run_ids()
        records: dict[str, PointRecord] = {}
        for entry in self._entries((EntryKind.POINT_START, EntryKind.POINT_RETRY, EntryKind.POINT_END), point_id):
            found = str(entry.point_id)
            if entry.kind == EntryKind.POINT_START:
                records[found] = PointRecord(**entry.body, run_id=run_ids.get(found))
            elif found in records:
                records[found] = point_after(records[found], entry)
        return records

    def _entries(self, kinds: Sequence[EntryKind], point_id: str | None = None) -> list[Entry]:
        marks = ", ".join("?" * len(kinds))
        which = "" if point_id is None else "AND point_id = ?"
        query = f"SELECT {_COLUMNS} FROM entries WHERE kind IN ({marks}) {which} ORDER BY entry_id"  # noqa: S608
        return [_entry(row) for row in self._query(query, [*kinds, *([] if point_id is None else [point_id])])]

    def _query(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()


_COLUMNS = "entry_id, kind, point_id, epoch, time_ms, body"
_TIMES = """
    SELECT kind IN ('sweep_start', 'sweep_resume'),
           kind = 'sweep_resume' AND json_type(body, '$.config') <> 'null',
           time_ms
    FROM entries ORDER BY entry_id
"""


def _entry(row: EntryRow) -> Entry:
    entry_id, kind, point_id, epoch, time_ms, body = row
    return Entry(entry_id, EntryKind(kind), point_id, epoch, time_ms, json.loads(body))

"""The journal: everything that happened in a sweep, in order, on the driver's local disk.

It is an append-only list of entries. Reading them in order gives the state of the sweep and of its points;
`Journal.delivery` knows which of them MLflow has. It is a SQLite file with a write-ahead log, so one process can write
while others read, and a process that dies loses nothing recorded. While the disk is full or the file locked, entries
wait in memory (`journal.write_buffer`).
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sweeps.tracking.journal import queries
from sweeps.tracking.journal.database import EntryRow, SharedConnection, create_database, open_database
from sweeps.tracking.journal.delivery_state import DeliveryState
from sweeps.tracking.journal.records import (
    BestEpoch,
    Entry,
    EntryKind,
    FigureRecord,
    PointEnd,
    PointRecord,
    SweepRecord,
    SweepState,
    apply_to_point,
    apply_to_sweep,
    end_body,
    start_body,
)
from sweeps.tracking.journal.write_buffer import JournalBehind, Row, WriteBuffer

_CATCH_UP_SECONDS = 1.0
_SWEEP_KINDS = (EntryKind.SWEEP_START, EntryKind.SWEEP_RESUME, EntryKind.SWEEP_END)
_POINT_KINDS = (EntryKind.POINT_START, EntryKind.POINT_RETRY, EntryKind.POINT_END)


class Journal:
    """The record of one sweep; `delivery` knows what MLflow has of it. Safe to use from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = SharedConnection(path, connection)
        self.delivery = DeliveryState(self._connection)
        self._buffer = WriteBuffer(path, self._insert)

    @classmethod
    def create(cls, path: str | Path, sweep: SweepRecord) -> "Journal":
        """Create the journal of a sweep; FileExistsError if there is one already."""
        path = Path(path)
        with create_database(path) as connection:
            cls(path, connection)._append(EntryKind.SWEEP_START, None, sweep.start_ms, start_body(sweep))
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, *, read_only: bool = False) -> "Journal":
        """Open an existing journal; FileNotFoundError if there is none, DamagedJournal if it cannot be read."""
        return cls(Path(path), open_database(Path(path), read_only=read_only))

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start_point(self, point: PointRecord) -> bool:
        """Record the start of a point's training; return False, and change nothing, if it has started before."""
        return self._append(EntryKind.POINT_START, point.point_id, point.start_ms, start_body(point))

    def record_epoch(self, point_id: str, epoch: int, metrics: Mapping[str, float], time_ms: int) -> bool:
        """Record the metrics of one epoch, NaN and infinity included; return False if the epoch is recorded already.

        The first values stay: a retried trial repeats the epochs since its checkpoint, and MLflow, which may have the
        first values by then, cannot replace a metric.
        """
        values = {name: float(value) for name, value in metrics.items()}
        return self._append(EntryKind.EPOCH, point_id, time_ms, {"metrics": values}, epoch)

    def record_figure(self, point_id: str | None, figure: FigureRecord, time_ms: int, epoch: int | None = None) -> None:
        """Request a figure in a point's run, or with None in the parent run; at most one per name and `epoch`."""
        self._append(EntryKind.FIGURE, point_id, time_ms, asdict(figure), epoch)

    def retry_point(self, point_id: str, reason: str, time_ms: int, tags: Mapping[str, str] | None = None) -> None:
        """Record that a point runs again because its process was lost or the sweep is resumed, and changed `tags`."""
        body = {"reason": reason} | ({"tags": dict(tags)} if tags else {})
        self._append(EntryKind.POINT_RETRY, point_id, time_ms, body)

    def end_point(self, point_id: str, end: PointEnd, time_ms: int) -> None:
        """Record how a point ended."""
        self._append(EntryKind.POINT_END, point_id, time_ms, end_body(end))

    def record_best(self, point_id: str, best: BestEpoch, time_ms: int) -> None:
        """Record the epoch by which a finished point is ranked."""
        body = {"metrics": dict(best.metrics), "last_epochs": dict(best.last_epochs)}
        self._append(EntryKind.BEST_EPOCH, point_id, time_ms, body, best.epoch)

    def record_rank(self, point_id: str, rank: int, tags: Mapping[str, str], time_ms: int) -> None:
        """Record the rank of a point at the end of the sweep, and more `tags` of its run; a later rank replaces it."""
        self._append(EntryKind.RANK, point_id, time_ms, {"rank": rank, "tags": dict(tags)})

    def record_progress(self, n_ended: int, metrics: Mapping[str, float], time_ms: int) -> None:
        """Record metrics of the whole sweep after `n_ended` points have ended."""
        self._append(EntryKind.PROGRESS, None, time_ms, {"metrics": dict(metrics)}, n_ended)

    def record_system_metrics(self, point_id: str, metrics: Mapping[str, float], time_ms: int) -> None:
        """Record a sample of the machine that trains a point; samples are numbered from 0, as MLflow numbers them."""
        number = queries.n_entries(self._connection, EntryKind.SYSTEM_METRICS, point_id)
        self._append(EntryKind.SYSTEM_METRICS, point_id, time_ms, {"metrics": dict(metrics)}, number)

    def resume_sweep(self, config: Mapping[str, Any] | None, tags: Mapping[str, str], time_ms: int) -> None:
        """Record that the sweep is resumed, or extended if there is a new `config`; `tags` are those of its run."""
        self._append(EntryKind.SWEEP_RESUME, None, time_ms, {"config": config, "tags": dict(tags)})

    def end_sweep(self, state: SweepState, description: str, tags: Mapping[str, str], time_ms: int) -> None:
        """Record how the sweep ended; `description` is the new Markdown description of the parent run."""
        body = {"state": state, "description": description, "tags": dict(tags)}
        self._append(EntryKind.SWEEP_END, None, time_ms, body)

    def sweep(self) -> SweepRecord:
        """Return the sweep in its current state; DamagedJournal if its start is not recorded."""
        queries.check_start(self._connection)
        start, *later = queries.entries_of(self._connection, _SWEEP_KINDS)
        run_id = self.delivery.run_ids().get(None)
        record = SweepRecord(**start.body, experiment_id=self.delivery.experiment_id(), run_id=run_id)
        return reduce(apply_to_sweep, later, record)

    def points(self) -> list[PointRecord]:
        """Return every point in its current state, by index."""
        return sorted(self._points(None).values(), key=lambda record: record.index)

    def has_reports(self) -> bool:
        """Return whether any trial has reported: figures come before the first epoch."""
        return queries.has_entry(self._connection, (EntryKind.EPOCH, EntryKind.FIGURE))

    def point(self, point_id: str) -> PointRecord | None:
        """Return one point in its current state; None if it has not started."""
        return self._points(point_id).get(point_id)

    def history(self, point_id: str) -> list[tuple[int, dict[str, float]]]:
        """Return the metrics of a point by epoch."""
        return queries.read_history(self._connection, point_id)

    def last_epochs(self) -> dict[str, int]:
        """Return the last recorded epoch of each point that has one."""
        return queries.last_epochs(self._connection)

    def epochs(self, point_id: str) -> list[Entry]:
        """Return the entries of a point's epochs: metrics, and when they were measured."""
        return queries.entries_of(self._connection, (EntryKind.EPOCH,), point_id)

    def entries(self, kind: EntryKind) -> list[Entry]:
        """Return all entries of a kind, in order."""
        return queries.entries_of(self._connection, (kind,))

    def best_epochs(self) -> dict[str, BestEpoch]:
        """Return the recorded best epoch of each point that has one; earlier versions of this program recorded none."""
        entries = queries.entries_of(self._connection, (EntryKind.BEST_EPOCH,))
        return {str(entry.point_id): BestEpoch(entry.epoch or 0, **entry.body) for entry in entries}

    def progress_metrics(self) -> set[str]:
        """Return the names of all recorded metrics of the whole sweep."""
        return {name for e in queries.entries_of(self._connection, (EntryKind.PROGRESS,)) for name in e.body["metrics"]}

    def seconds_spent(self) -> float:
        """Return how long the sweep has run since its start or last extension, without the time between its runs."""
        return queries.seconds_spent(self._connection)

    def last_ms(self) -> int:
        """Return the time of the last entry."""
        return queries.last_ms(self._connection)

    def rows(self, first: int, limit: int | None = None) -> list[EntryRow]:
        """Return entries from the id `first` on, at most `limit`, as they are stored."""
        return queries.read_rows(self._connection, first, limit)

    def last_id(self) -> int:
        """Return the id of the last entry, 0 if there is none."""
        return queries.last_id(self._connection)

    @property
    def problem(self) -> str | None:
        """Return in one line why the journal is behind and what to do; None if it is not."""
        with self._connection.lock:
            return self._buffer.problem

    def catch_up(self, patience_seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Write the waiting entries; JournalBehind if the disk does not take them in time."""
        deadline = time.monotonic() + patience_seconds
        while True:
            with self._connection.lock:
                if self._buffer.catch_up(at_once=True):
                    return
            if is_cancelled() or time.monotonic() > deadline:
                raise JournalBehind(f"{self.problem}")
            time.sleep(_CATCH_UP_SECONDS)

    def flush(self) -> None:
        """Sync everything recorded so far to the disk, so that it survives a power cut."""
        log = self.path.with_name(f"{self.path.name}-wal")
        with self._connection.lock:
            if log.exists():
                descriptor = os.open(log, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _append(
        self, kind: EntryKind, point_id: str | None, time_ms: int, body: Mapping[str, Any], epoch: int | None = None
    ) -> bool:
        with self._connection.lock:
            return self._buffer.add((kind, point_id, epoch, time_ms, json.dumps(body)))

    def _insert(self, row: Row) -> bool:
        statement = (
            "INSERT INTO entries (kind, point_id, epoch, time_ms, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        return self._connection.execute(statement, row).rowcount == 1

    def _points(self, point_id: str | None) -> dict[str, PointRecord]:
        """Return one point, or with None all, by id."""
        run_ids = self.delivery.run_ids()
        records: dict[str, PointRecord] = {}
        for entry in queries.entries_of(self._connection, _POINT_KINDS, point_id):
            found = str(entry.point_id)
            if entry.kind == EntryKind.POINT_START:
                records[found] = PointRecord(**entry.body, run_id=run_ids.get(found))
            elif found in records:
                records[found] = apply_to_point(records[found], entry)
        return records

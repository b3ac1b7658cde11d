"""Copies the journal's entries into the sweep's folder from a thread, so that the journal can be rebuilt from there."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sweeps.errors import StorageError, SweepError
from sweeps.storage import atomic_write, earlier_names
from sweeps.storage.layout import SweepFolder
from sweeps.storage.private_files import make_folder
from sweeps.tracking.journal.database import EntryRow
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import Delivered, EntryKind, PointState
from sweeps.tracking.journal.segments import Segment, list_segments, write_segment

# A segment is written once this many entries wait, or the oldest has waited this long.
MAX_WAITING = 500
SECONDS = 5.0
# This many consecutive segments with fewer than `FEW` entries each are merged: a long sweep leaves few files.
N_MERGED = 32
FEW = 1000
_POLL_SECONDS = 0.5
_CATCH_UP_SECONDS = 1.0
_MAX_ENTRIES = 5000
_ENDED = (PointState.FINISHED, PointState.FAILED)

logger = logging.getLogger(__name__)


class FolderBehind(SweepError):
    """Recorded entries could not be copied to the sweep's folder."""


class _NotOwner(Exception):
    """Another process has taken over the sweep."""


class SegmentWriter:
    """Writes segments while a sweep runs; only entries in segments are delivered to MLflow. Start, then close.

    `is_owner` returns whether this process still owns the sweep (`sweep_lock`), and is called before each write and
    removal. Once it returns False, nothing is written or removed any more: another process does so.
    """

    def __init__(self, journal: Journal, folder: SweepFolder, is_owner: Callable[[], bool] = lambda: True) -> None:
        self._journal = journal
        self._folder = folder
        self._is_owner = is_owner
        self.is_lost = False
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._committed_at = time.monotonic()
        self._delivered: Delivered | None = None
        self._through: int | None = None  # unknown until the first commit
        self._segments: list[Segment] = []
        self._problem: str | None = None

    def start(self) -> None:
        """Write the entries so far, then new ones as they come."""
        self.commit()
        self._thread.start()

    def close(self) -> None:
        """Stop, and write the remaining entries."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self.commit()

    def commit(self) -> bool:
        """Copy the new entries and the delivery state to the folder; return False if that fails.

        Once the end of a trial is in a segment, its checkpoint is removed: those of a thousand trials fill a disk.
        """
        with self._lock:
            self._committed_at = time.monotonic()
            if self.is_lost:
                return False
            try:
                problem = self._copy()
            except _NotOwner:
                self.is_lost = True
                logger.warning(
                    "Another process has taken over %s: no more is written to its folder here", self._folder.id
                )
                return False
            self._log_problem(problem)
            return problem is None

    def catch_up(self, patience_seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Copy the waiting entries; FolderBehind if the folder does not take them in time.

        Returns at once if another process has taken over the sweep.
        """
        deadline = time.monotonic() + patience_seconds
        while not self.commit() and not self.is_lost:
            if is_cancelled() or time.monotonic() > deadline:
                raise FolderBehind(str(self._problem))
            time.sleep(_CATCH_UP_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            if time.monotonic() - self._committed_at >= SECONDS or self._are_many_waiting():
                self.commit()

    def _are_many_waiting(self) -> bool:
        try:
            return self._journal.last_id() - (self._through or 0) >= MAX_WAITING
        except sqlite3.OperationalError:
            return False  # the next commit logs the problem if it persists

    def _copy(self) -> str | None:
        """Copy the new entries and the delivery state; return in one line why that fails, if it does."""
        folder = self._folder.segments
        try:
            is_done = self._write_segments() and self._write_delivered()
        except sqlite3.OperationalError as error:
            return f"{self._journal.path} cannot be used ({error}): free space there, or stop the process that locks it"
        except StorageError as error:
            return f"{folder} cannot be written to: {error}"
        except OSError as error:
            return f"{folder} cannot be written to ({' '.join(str(error).split())}): free space there"
        return None if is_done else f"{folder} cannot be written to (the disk is full): free space there"

    def _find_segments(self) -> int:
        """Find the segments that exist; return the id of the last entry in them."""
        through = self._journal.delivery.committed() or 0
        self._segments = [segment for segment in list_segments(self._folder.segments) if segment.last <= through]
        self._journal.delivery.set_committed(through)
        return through

    def _check_ownership(self) -> None:
        if not self._is_owner():
            raise _NotOwner

    def _write_segments(self) -> bool:
        make_folder(self._folder.segments)
        if self._through is None:
            self._through = self._find_segments()
        while rows := self._journal.rows(self._through + 1, _MAX_ENTRIES):
            self._check_ownership()
            segment = write_segment(self._folder.segments, rows)
            if segment is None:
                return False
            self._check_ownership()
            self._journal.delivery.set_committed(segment.last)
            self._through = segment.last
            self._segments.append(segment)
            self._remove_checkpoints(rows)
        return self._merge()

    def _remove_checkpoints(self, rows: Sequence[EntryRow]) -> None:
        for _, kind, point_id, _, _, body in rows:
            if kind == EntryKind.POINT_END and json.loads(body)["state"] in _ENDED:
                self._check_ownership()
                earlier_names.remove(self._folder.point(str(point_id)).checkpoint)

    def _merge(self) -> bool:
        small: list[Segment] = []
        while len(small) < len(self._segments) and len(self._segments[-1 - len(small)]) < FEW:
            small.insert(0, self._segments[-1 - len(small)])
        if len(small) < N_MERGED:
            return True
        self._check_ownership()
        rows = self._journal.rows(small[0].first, small[-1].last - small[0].first + 1)
        merged = write_segment(self._folder.segments, rows)
        if merged is None:
            return False
        self._segments[-len(small) :] = [merged]
        for segment in small:
            self._check_ownership()
            (self._folder.segments / segment.name).unlink(missing_ok=True)
        return True

    def _write_delivered(self) -> bool:
        """Record what MLflow has, so that a rebuilt journal need not send it all again."""
        delivered = self._journal.delivery.delivered()
        if delivered is not None and delivered != self._delivered:
            self._check_ownership()
            if not atomic_write.write(self._folder.delivered, json.dumps(asdict(delivered)).encode()):
                return False
            self._delivered = delivered
        return True

    def _log_problem(self, problem: str | None) -> None:
        """Log a problem once when it starts, and once when it is over."""
        if problem is not None and self._problem is None:
            logger.warning("The sweep continues, but %s", problem)
        elif problem is None and self._problem is not None:
            logger.warning("%s can be written to again: nothing is lost", self._folder.segments)
        self._problem = problem

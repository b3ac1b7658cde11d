"""Copies what the journal records into the sweep's folder, from a thread, so that the folder alone tells the sweep."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sweeps.errors import StorageError, SweepError
from sweeps.storage import atomic_write
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.database import EntryRow
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import Delivered, EntryKind, PointState
from sweeps.tracking.journal.segments import Segment, list_segments, write_segment

# A segment is written when so many entries wait for one, or the oldest has waited for so long.
MAX_WAITING = 500
SECONDS = 5.0
# So many that follow one another, each of fewer entries than that, become one: a long sweep leaves few files.
N_MERGED = 32
FEW = 1000
_POLL_SECONDS = 0.5
_CATCH_UP_SECONDS = 1.0
_MAX_ENTRIES = 5000
_ENDED = (PointState.FINISHED, PointState.FAILED)

logger = logging.getLogger(__name__)


class FolderBehind(SweepError):
    """The sweep's folder has not taken all that is recorded."""


class _Lost(Exception):
    """Another process has taken up the sweep."""


class SegmentWriter:
    """Writes segments for as long as a sweep runs; MLflow is sent what they hold. Start, then close.

    `is_owner` tells whether the sweep is still this process's (`sweep_lock`): it is asked before anything is written
    or removed. Once it is not, nothing is any more, for another process writes there.
    """

    def __init__(self, journal: Journal, folder: SweepFolder, is_owner: Callable[[], bool] = lambda: True) -> None:
        self._journal = journal
        self._folder = folder
        self._is_owner = is_owner
        self.is_lost = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._committed_at = time.monotonic()
        self._delivered: Delivered | None = None
        self._through: int | None = None  # until the journal and the folder have told
        self._segments: list[Segment] = []
        self._problem: str | None = None

    def start(self) -> None:
        """Write what there is, and then what comes."""
        self.commit()
        self._thread.start()

    def close(self) -> None:
        """Write what is left."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self.commit()

    def commit(self) -> bool:
        """Write what is recorded and not yet in a segment, and what MLflow has; False where the folder takes nothing.

        Of a trial whose end is in a segment nothing goes on, and its checkpoint is removed: those of a thousand trials
        fill a disk.
        """
        with self._lock:
            self._committed_at = time.monotonic()
            if self.is_lost:
                return False
            where = self._folder.segments
            try:
                is_done = self._write_segments() and self._write_delivered()
                self._tell(None if is_done else f"{where} takes no segments (no space is left): free space there")
            except _Lost:
                is_done = False
                self.is_lost = True
                logger.warning("Another process has taken up %s: this one leaves its folder alone", self._folder.id)
            except sqlite3.OperationalError as error:
                is_done = False
                self._tell(
                    f"{self._journal.path} cannot be used ({error}): free space there, or end what has it locked"
                )
            except StorageError as error:
                is_done = False
                self._tell(f"{where} takes no segments: {error}")
            except OSError as error:
                is_done = False
                self._tell(f"{where} takes no segments ({' '.join(str(error).split())}): free space there")
            return is_done

    def catch_up(self, patience_seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Write what waits, for as long as the folder may need; FolderBehind where it takes longer.

        Nothing is waited for where the sweep is another process's.
        """
        deadline = time.monotonic() + patience_seconds
        while not self.commit() and not self.is_lost:
            if is_cancelled() or time.monotonic() > deadline:
                raise FolderBehind(str(self._problem))
            time.sleep(_CATCH_UP_SECONDS)

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            if time.monotonic() - self._committed_at >= SECONDS or self._are_many_waiting():
                self.commit()

    def _are_many_waiting(self) -> bool:
        try:
            return self._journal.last_id() - (self._through or 0) >= MAX_WAITING
        except sqlite3.OperationalError:
            return False  # the next commit says what is the matter, if it still is

    def _begin(self) -> int:
        """Learn what is in segments already; give the id of the last such entry."""
        through = self._journal.delivery.committed() or 0
        self._segments = [segment for segment in list_segments(self._folder.segments) if segment.last <= through]
        self._journal.delivery.set_committed(through)
        return through

    def _check_ownership(self) -> None:
        if not self._is_owner():
            raise _Lost

    def _write_segments(self) -> bool:
        self._folder.segments.mkdir(parents=True, exist_ok=True)
        if self._through is None:
            self._through = self._begin()
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
                self._folder.point(str(point_id)).checkpoint.unlink(missing_ok=True)

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
        """Keep what MLflow has, so that it need not be sent all of it again; it may have more by now."""
        delivered = self._journal.delivery.delivered()
        if delivered is not None and delivered != self._delivered:
            self._check_ownership()
            if not atomic_write.write(self._folder.delivered, json.dumps(asdict(delivered)).encode()):
                return False
            self._delivered = delivered
        return True

    def _tell(self, problem: str | None) -> None:
        """Say once that segments are not written, and once that they are again."""
        if problem is not None and self._problem is None:
            logger.warning("The sweep goes on, but %s", problem)
        elif problem is None and self._problem is not None:
            logger.warning("%s takes segments again: nothing is lost", self._folder.segments)
        self._problem = problem

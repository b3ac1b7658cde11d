"""Entries that cannot be written to the journal for now: kept in memory, in order, and tried again.

A full disk, or a database locked by another process, ends no trial. The number of waiting entries is bounded, and they
are lost with the process: a resumed sweep reads them from the trials' folders, or trains those epochs again.
"""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeps.errors import SweepError

Row = tuple[Any, ...]

# About 500 bytes each.
MAX_WAITING = 200_000
_PAUSE_SECONDS = 1.0
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_PRIMARY_CODE = 0xFF

logger = logging.getLogger(__name__)


class JournalBehind(SweepError):
    """Entries of a sweep could not be written to its journal."""


class WriteBuffer:
    """Writes rows with `write`, or keeps them until that succeeds. Not thread-safe."""

    def __init__(self, path: Path, write: Callable[[Row], bool]) -> None:
        self._path = path
        self._write = write
        self._waiting: deque[Row] = deque()
        self._error: str | None = None
        self._try_again_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def problem(self) -> str | None:
        """Return in one line why entries wait and what to do; None if none waits."""
        if not self._waiting:
            return None
        folder = self._path.parent
        return (
            f"{len(self._waiting)} journal entries wait in memory and cannot be written to {folder} ({self._error}): "
            "free space there, or stop the process that locks the journal"
        )

    def add(self, row: Row) -> bool:
        """Write or keep a row; return False if the journal has this entry already."""
        if not self.catch_up():
            self._keep(row)
            return True
        try:
            return self._write(row)
        except sqlite3.OperationalError as error:
            self._put_off(error)
            self._keep(row)
            logger.warning("The sweep continues, but %s", self.problem)
            return True

    def catch_up(self, *, at_once: bool = False) -> bool:
        """Write the waiting rows; return whether none is left. After a failure it pauses first, unless `at_once`."""
        if not self._waiting:
            return True
        if not at_once and time.monotonic() < self._try_again_at:
            return False
        try:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()
        except sqlite3.OperationalError as error:
            self._put_off(error)
            return False
        logger.warning("Journal entries can be written to %s again: nothing is lost", self._path.parent)
        return True

    def _put_off(self, error: sqlite3.OperationalError) -> None:
        if error.sqlite_errorcode & _PRIMARY_CODE not in _PASSING:
            raise error
        self._error = str(error)
        self._try_again_at = time.monotonic() + _PAUSE_SECONDS

    def _keep(self, row: Row) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise JournalBehind(f"at most {MAX_WAITING:,} entries may wait in memory: {self.problem}")
        self._waiting.append(row)

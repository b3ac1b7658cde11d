"""Entries that the journal's disk does not take for now: kept in memory, in order, and tried again.

A full disk, or a database that another process has locked, ends no trial: what happened is recorded when the disk takes
it again. What waits here is bounded, and lost with the process: when the sweep is resumed, the trials' folders tell it
again, or it is trained again.
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

# Of some 500 bytes each.
MAX_WAITING = 200_000
_PAUSE_SECONDS = 1.0
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_PRIMARY_CODE = 0xFF

logger = logging.getLogger(__name__)


class JournalBehind(SweepError):
    """The disk has not taken what happened in a sweep."""


class WriteBuffer:
    """Writes rows by `write`, or keeps them until it succeeds; not safe to use from several threads at once."""

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
        """In one line, why entries wait and what to do; None where none does."""
        if not self._waiting:
            return None
        folder = self._path.parent
        return (
            f"{len(self._waiting)} entries wait in memory, for {folder} takes none ({self._error}): "
            "free space there, or end what has it locked"
        )

    def add(self, row: Row) -> bool:
        """Write a row, or keep it; False where the journal has one like it already."""
        if not self.catch_up():
            self._keep(row)
            return True
        try:
            return self._write(row)
        except sqlite3.OperationalError as error:
            self._put_off(error)
            self._keep(row)
            logger.warning("The sweep goes on, but %s", self.problem)
            return True

    def catch_up(self, *, at_once: bool = False) -> bool:
        """Write what waits, as far as the disk takes it: after a pause since the last failure, or `at_once`."""
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
        logger.warning("%s takes entries again: nothing is lost", self._path.parent)
        return True

    def _put_off(self, error: sqlite3.OperationalError) -> None:
        if error.sqlite_errorcode & _PRIMARY_CODE not in _PASSING:
            raise error
        self._error = str(error)
        self._try_again_at = time.monotonic() + _PAUSE_SECONDS

    def _keep(self, row: Row) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise JournalBehind(f"no more than {MAX_WAITING:,} entries may wait: {self.problem}")
        self._waiting.append(row)

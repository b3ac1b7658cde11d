"""The shipper: takes what is pending in the journal to MLflow, in the background, however often that takes.

MLflow may be away for any time: entries wait in the journal, a window of them at a time is in memory, and what has
arrived is marked there. A crash between the two sends some again, which changes nothing (`mlflow.client`).
"""

import fcntl
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sweeps.storage.object_store import Place
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.mlflow.connection import Unavailable
from sweeps.tracking.mlflow.delivery import Delivery, WindowOutcome
from sweeps.tracking.mlflow.uri import without_credentials

INTERVAL_SECONDS = 1.0
# How long workers may start in peace, at most: to import MLflow takes two seconds of a processor that they want, too.
_HEAD_START_SECONDS = 10.0
_FIRST_BACKOFF_SECONDS, _LAST_BACKOFF_SECONDS = 0.5, 30.0
# Who waits for the end waits for a server that comes back, too: ask it more often.
_CLOSING_BACKOFF_SECONDS = 2.0
# A single failure is no news.
_FAILURES_BEFORE_TELLING = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShipperStatus:
    """How far delivery is: entries still to go, entries that MLflow will never take, and what is in the way, if any."""

    n_undelivered: int
    n_refused: int
    error: str | None


class Shipper:
    """Delivers a journal to MLflow from a thread of its own; start, then close."""

    def __init__(self, journal: Journal, tracking_uri: str, sweep_folder: Place) -> None:
        self._journal = journal
        self._loop = _Loop(journal.path, tracking_uri, sweep_folder)
        self._thread = threading.Thread(target=self._loop.run, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def status(self) -> ShipperStatus:
        """Tell how far delivery is, for a person who watches."""
        return _status(self._journal, self._loop)

    def close(self, patience_seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> int:
        """Wait until all is delivered, or nothing has been for this long; give the number of entries that are not."""
        self._loop.finish(patience_seconds)
        while self._thread.is_alive() and not self._loop.is_late() and not is_cancelled():
            self._thread.join(0.05)
        return self._journal.delivery.n_undelivered()


def sync(journal: Journal, tracking_uri: str, sweep_folder: Place, patience_seconds: float) -> ShipperStatus:
    """Deliver what is pending while the caller waits; give up when nothing has arrived for this long."""
    loop = _Loop(journal.path, tracking_uri, sweep_folder)
    loop.finish(patience_seconds)
    loop.run_with(journal)
    return _status(journal, loop)


def _status(journal: Journal, loop: "_Loop") -> ShipperStatus:
    return ShipperStatus(journal.delivery.n_undelivered(), len(journal.delivery.refusals()), loop.error)


class _Loop:
    """Window after window, with a growing pause after each failure, until told to finish."""

    def __init__(self, journal_path: Path, tracking_uri: str, sweep_folder: Place) -> None:
        self.error: str | None = None
        self._journal_path = journal_path
        self._uri = tracking_uri
        self._folder = sweep_folder
        self._deadline: float | None = None
        self._patience_seconds = 0.0
        self._woken = threading.Event()
        self._n_failures = 0
        self._has_told = False
        self._delivery: Delivery | None = None

    def finish(self, patience_seconds: float) -> None:
        """End as soon as nothing is pending, or when nothing has arrived for this long."""
        self._patience_seconds = patience_seconds
        self._deadline = time.monotonic() + patience_seconds
        self._woken.set()

    def is_late(self) -> bool:
        """Whether the time to finish is over, even though a request may still hang."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def run(self) -> None:
        """Deliver until finished. With its own connection, so that the caller's journal may close meanwhile."""
        with Journal.open(self._journal_path) as journal:
            self._let_workers_start(journal)
            self.run_with(journal)

    def run_with(self, journal: Journal) -> None:
        """Deliver until it is over, from a journal that is open."""
        while not self._is_over(journal):
            progress = self._deliver(journal)
            self.error = progress.error
            self._tell()
            self._pause(progress)

    def _let_workers_start(self, journal: Journal) -> None:
        until = time.monotonic() + _HEAD_START_SECONDS
        with suppress(sqlite3.Error):  # what is wrong with the journal is told by those who deliver it
            while not journal.has_reports() and time.monotonic() < until:
                if self._woken.wait(0.1):
                    return

    def _deliver(self, journal: Journal) -> WindowOutcome:
        try:
            with _sole_delivery(self._journal_path):
                if self._delivery is None:
                    journal.delivery.deliver_to(without_credentials(self._uri))
                    self._delivery = self._connect(journal)
                    self._has_arrived()  # a store that is new takes seconds to be made
                elif (store := journal.delivery.store()) != without_credentials(self._uri):
                    raise Unavailable(f"another process has begun to deliver it to {store}", answered=False)
                return self._delivery.deliver(self._has_arrived)
        except Unavailable as error:
            return WindowOutcome(0, str(error))
        except Exception as error:  # A thread that died would leave the rest undelivered in silence.
            return WindowOutcome(0, without_credentials(f"{type(error).__name__}: {' '.join(str(error).split())}"))

    def _has_arrived(self) -> None:
        """Be patient anew: a slow server takes longer for a window than somebody waits who sees nothing arrive."""
        if self._deadline is not None:
            self._deadline = time.monotonic() + self._patience_seconds

    def _tell(self) -> None:
        """Say once that nothing arrives, and once that it does again; who waits for the end is told there."""
        if self.error is not None and self._n_failures == _FAILURES_BEFORE_TELLING and self._deadline is None:
            logger.warning("MLflow takes nothing for now (%s): trials go on, and it will get everything", self.error)
            self._has_told = True
        elif self.error is None and self._has_told:
            logger.warning("MLflow takes what the sweep records again")
            self._has_told = False

    def _connect(self, journal: Journal) -> Delivery:
        sweep = journal.sweep()
        store = MlflowStore(self._uri, sweep.experiment, sweep.sweep_id)
        journal.delivery.set_experiment_id(store.experiment_id)
        return Delivery(journal, store, self._folder)

    def _is_over(self, journal: Journal) -> bool:
        if self._deadline is None:
            return False
        has_all = journal.delivery.n_undelivered() == 0 and journal.delivery.store() == without_credentials(self._uri)
        return has_all or self.is_late()

    def _pause(self, progress: WindowOutcome) -> None:
        deadline = self._deadline
        self._n_failures = 0 if progress.n_done or progress.error is None else min(self._n_failures + 1, 10)
        if progress.error is not None:
            longest = _LAST_BACKOFF_SECONDS if deadline is None else _CLOSING_BACKOFF_SECONDS
            seconds = min(longest, _FIRST_BACKOFF_SECONDS * 2.0**self._n_failures) * random.uniform(0.5, 1.5)
        else:
            seconds = 0.0 if deadline is not None and progress.n_done else INTERVAL_SECONDS
        if deadline is None:
            self._woken.wait(seconds)
        else:
            time.sleep(max(0.0, min(seconds, deadline - time.monotonic())))


@contextmanager
def _sole_delivery(journal_path: Path) -> Iterator[None]:
    """Let one process at a time deliver a journal: two could create the same run at the same moment."""
    with journal_path.with_name(f"{journal_path.name}.shipping").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("another process delivers this sweep", answered=False) from None
        yield

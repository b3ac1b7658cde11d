"""The shipper: delivers the journal's undelivered entries to MLflow in the background, and retries until they arrive.

MLflow may be unreachable for any time: entries wait in the journal, one window of them at a time is read, and delivered
ones are marked there. After a crash some are sent again, which is harmless (`mlflow.client`).
"""

import fcntl
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sweeps.config import SweepConfig
from sweeps.storage.object_store import Place
from sweeps.storage.private_files import open_file
from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord, SweepState
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.mlflow.connection import Refused, Unavailable
from sweeps.tracking.mlflow.delivery import Delivery, WindowOutcome
from sweeps.tracking.mlflow.links import SHARED_VIEW_TAG, VIEW_TAG, view_state
from sweeps.tracking.mlflow.uri import without_credentials

INTERVAL_SECONDS = 1.0
# How long delivery waits for the workers to start: the import of MLflow takes two seconds of CPU that they need.
_HEAD_START_SECONDS = 10.0
_FIRST_BACKOFF_SECONDS, _LAST_BACKOFF_SECONDS = 0.5, 30.0
# Shorter while a person waits for the last delivery.
_CLOSING_BACKOFF_SECONDS = 2.0
# A single failure is not worth a warning.
_FAILURES_BEFORE_WARNING = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShipperStatus:
    """The progress of delivery: undelivered entries, entries refused for good, and the current error, if any."""

    n_undelivered: int
    n_refused: int
    error: str | None


class Shipper:
    """Delivers a journal to MLflow from its own thread. Start, then close."""

    def __init__(self, journal: Journal, tracking_uri: str, sweep_folder: Place) -> None:
        self._journal = journal
        self._loop = _Loop(journal.path, tracking_uri, sweep_folder)
        self._thread = threading.Thread(target=self._loop.run, name="shipper", daemon=True)

    @property
    def experiment_id(self) -> str | None:
        """Return the experiment of the runs; None until MLflow answers."""
        return self._loop.experiment_id

    @property
    def progress(self) -> DeliveryProgress | None:
        """Return the progress of delivery; None until MLflow was tried."""
        return self._loop.progress

    def start(self) -> None:
        """Start delivering."""
        self._thread.start()

    def close(self, patience_seconds: float, is_cancelled: Callable[[], bool] = lambda: False) -> int:
        """Wait until all is delivered, or nothing for `patience_seconds`; return the number of undelivered entries."""
        self._loop.finish(patience_seconds)
        while self._thread.is_alive() and not self._loop.is_late() and not is_cancelled():
            self._thread.join(0.05)
        return self._journal.delivery.n_undelivered()


def sync(journal: Journal, tracking_uri: str, sweep_folder: Place, patience_seconds: float) -> ShipperStatus:
    """Deliver the undelivered entries now; give up after `patience_seconds` without progress."""
    loop = _Loop(journal.path, tracking_uri, sweep_folder)
    loop.finish(patience_seconds)
    loop.run_with(journal)
    return ShipperStatus(journal.delivery.n_undelivered(), len(journal.delivery.refusals()), loop.error)


class _Loop:
    """Delivers window after window, with growing pauses after failures, until it is asked to finish."""

    def __init__(self, journal_path: Path, tracking_uri: str, sweep_folder: Place) -> None:
        self.error: str | None = None
        self.experiment_id: str | None = None
        self.progress: DeliveryProgress | None = None
        self._failing_since: float | None = None
        self._journal_path = journal_path
        self._uri = tracking_uri
        self._folder = sweep_folder
        self._deadline: float | None = None
        self._patience_seconds = 0.0
        self._woken = threading.Event()
        self._n_failures = 0
        self._has_warned = False
        self._delivery: Delivery | None = None
        self._store: MlflowStore | None = None
        self._shows_ranks = False

    def finish(self, patience_seconds: float) -> None:
        """Finish once all is delivered, or after `patience_seconds` without progress."""
        self._patience_seconds = patience_seconds
        self._deadline = time.monotonic() + patience_seconds
        self._woken.set()

    def is_late(self) -> bool:
        """Return whether the time to finish is over, even if a request still hangs."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def run(self) -> None:
        """Deliver until finished, with its own connection: the caller may close the journal meanwhile."""
        with Journal.open(self._journal_path) as journal:
            self._wait_for_workers(journal)
            self.run_with(journal)

    def run_with(self, journal: Journal) -> None:
        """Deliver an open journal until finished."""
        while not self._is_finished(journal):
            progress = self._deliver(journal)
            self.error = progress.error
            self._count(journal)
            self._log_changes()
            self._pause(progress, journal)

    def _wait_for_workers(self, journal: Journal) -> None:
        until = time.monotonic() + _HEAD_START_SECONDS
        with suppress(sqlite3.Error):  # delivery reports what is wrong with the journal
            while not journal.has_reports() and time.monotonic() < until:
                if self._woken.wait(0.1):
                    return

    def _deliver(self, journal: Journal) -> WindowOutcome:
        try:
            with _lock_delivery(self._journal_path):
                if self._delivery is None:
                    journal.delivery.deliver_to(without_credentials(self._uri))
                    self._delivery = self._connect(journal)
                    self._extend_deadline()  # creating a new store takes seconds
                elif (store := journal.delivery.store()) != without_credentials(self._uri):
                    raise Unavailable(f"another process delivers this sweep to {store}", answered=False)
                progress = self._delivery.deliver(self._extend_deadline)
                self._show_ranks(journal)
                return progress
        except Unavailable as error:
            return WindowOutcome(0, str(error))
        except Exception as error:  # If the thread died, the rest would silently stay undelivered.
            return WindowOutcome(0, without_credentials(f"{type(error).__name__}: {' '.join(str(error).split())}"))

    def _extend_deadline(self) -> None:
        """Restart the patience after progress: a slow server may need longer than that for one window."""
        if self._deadline is not None:
            self._deadline = time.monotonic() + self._patience_seconds

    def _count(self, journal: Journal) -> None:
        """Count what is delivered and what waits, for the display."""
        self._failing_since = None if self.error is None else self._failing_since or time.time()
        with suppress(sqlite3.Error):  # delivery reports what is wrong with the journal
            n_waiting, n_refused = journal.delivery.n_undelivered(), journal.delivery.n_refused()
            n_delivered = max(0, journal.last_id() - n_waiting - n_refused)
            self.progress = DeliveryProgress(n_delivered, n_waiting, n_refused, self.error, self._failing_since)

    def _log_changes(self) -> None:
        """Log once that delivery fails, and once that it works again; not while a person waits for its end."""
        if self.error is not None and self._n_failures == _FAILURES_BEFORE_WARNING and self._deadline is None:
            logger.warning("MLflow is unavailable (%s): trials continue, and everything is delivered later", self.error)
            self._has_warned = True
        elif self.error is None and self._has_warned:
            logger.warning("MLflow is available again")
            self._has_warned = False

    def _connect(self, journal: Journal) -> Delivery:
        sweep = journal.sweep()
        store = MlflowStore(self._uri, sweep.experiment, sweep.sweep_id)
        self._share_view(store, sweep, is_ranked=False)
        self._store = store
        journal.delivery.set_experiment_id(store.experiment_id)
        self.experiment_id = store.experiment_id
        return Delivery(journal, store, self._folder)

    def _show_ranks(self, journal: Journal) -> None:
        """Sort the shared view by rank once the sweep has ended and its ranks are delivered."""
        if self._shows_ranks or self._store is None or journal.delivery.n_undelivered():
            return
        sweep = journal.sweep()
        if sweep.state is not SweepState.RUNNING:
            self._share_view(self._store, sweep, is_ranked=True)
            self._shows_ranks = True

    def _share_view(self, store: MlflowStore, sweep: SweepRecord, *, is_ranked: bool) -> None:
        """Store what the printed links show; sweeps of earlier versions have no such view."""
        view = sweep.tags.get(VIEW_TAG)
        if view is None:
            return
        try:
            state = view_state(SweepConfig.restore(sweep.config), view, is_ranked=is_ranked)
            store.set_experiment_tag(SHARED_VIEW_TAG + view, state)
        except Refused as error:  # runs may be written, the experiment itself not
            logger.warning(
                "The links to this sweep will not open: MLflow must accept a tag of its experiment: %s", error
            )

    def _is_finished(self, journal: Journal) -> bool:
        if self._deadline is None:
            return False
        has_all = journal.delivery.n_undelivered() == 0 and journal.delivery.store() == without_credentials(self._uri)
        return has_all or self.is_late()

    def _pause(self, progress: WindowOutcome, journal: Journal) -> None:
        deadline = self._deadline
        self._n_failures = 0 if progress.n_done or progress.error is None else min(self._n_failures + 1, 10)
        if progress.error is not None:
            longest = _LAST_BACKOFF_SECONDS if deadline is None else _CLOSING_BACKOFF_SECONDS
            seconds = min(longest, _FIRST_BACKOFF_SECONDS * 2.0**self._n_failures) * random.uniform(0.5, 1.5)
        else:
            seconds = 0.0 if deadline is not None and progress.n_done else INTERVAL_SECONDS
        if deadline is None:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and not self._woken.wait(min(left, INTERVAL_SECONDS)):
                self._count(journal)
        else:
            time.sleep(max(0.0, min(seconds, deadline - time.monotonic())))


@contextmanager
def _lock_delivery(journal_path: Path) -> Iterator[None]:
    """Let one process at a time deliver a journal: two could create the same run at once."""
    lock = open_file(journal_path.with_name(f"{journal_path.name}.shipping"), os.O_WRONLY | os.O_CREAT)
    with os.fdopen(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("another process delivers this sweep", answered=False) from None
        yield

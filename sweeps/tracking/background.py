"""What a sweep records, kept in its folder and in MLflow: while it runs, and at its end before it may go."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.errors import SweepFailed, SweepLocked
from sweeps.storage import atomic_write
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import IsOwner
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.segment_writer import FolderBehind, SegmentWriter
from sweeps.tracking.journal.write_buffer import JournalBehind
from sweeps.tracking.mlflow.shipper import Shipper
from sweeps.tracking.mlflow.uri import tracking_uri

# How long the end of a sweep waits for MLflow while that takes nothing, and what sets it; `sweeps sync` delivers the
# rest. For a job nobody waits: longer than a request hangs that a cut of the network has swallowed.
DELIVERY_PATIENCE_SECONDS, DELIVERY_PATIENCE_OF_A_JOB_SECONDS = 10.0, 45.0
DELIVERY_VARIABLE = "SWEEPS_DELIVERY_SECONDS"


@contextmanager
def committing(journal: Journal, folder: SweepFolder, is_mine: IsOwner) -> Iterator[SegmentWriter]:
    """Copy what is recorded to the sweep's folder, and at the end all of it."""
    committer = SegmentWriter(journal, folder, is_mine)
    committer.start()
    try:
        yield committer
    finally:
        committer.close()


@contextmanager
def shipping(
    journal: Journal, uri: str, folder: SweepFolder, interrupted: threading.Event, committer: SegmentWriter
) -> Iterator[None]:
    """Deliver to MLflow in the background, and at the end for as long as that makes progress."""
    shipper = Shipper(journal, uri, folder.path)
    shipper.start()
    is_cancelled = interrupted.is_set
    try:
        yield
        is_cancelled = _from_now_on(interrupted)
    finally:
        committer.commit()  # MLflow is sent what the folder has
        shipper.close(float(os.environ.get(DELIVERY_VARIABLE) or DELIVERY_PATIENCE_SECONDS), is_cancelled)


def check_mine(folder: SweepFolder, committer: SegmentWriter) -> None:
    """SweepLocked where another process has taken up the sweep: what is left here is of an earlier time."""
    committer.commit()
    if committer.is_lost:
        raise SweepLocked(
            f"{folder.id} must be run by one process at a time, and another has taken it up while this one did not "
            f"reach the store: `sweeps status {folder.id}` tells how it goes on there"
        )


def catch_up(journal: Journal, folder: SweepFolder, interrupted: threading.Event) -> None:
    """Wait for a disk that takes nothing, unless Ctrl-C tells not to."""
    try:
        journal.catch_up(atomic_write.PATIENCE_SECONDS, _from_now_on(interrupted))
    except JournalBehind as error:
        raise SweepFailed(f"{error}. Then `sweeps resume {folder.id}` records it, or trains it again") from error


def copy_all(folder: SweepFolder, committer: SegmentWriter, interrupted: threading.Event) -> None:
    """Wait for the sweep's folder, which may be in a store, as for the disk: it alone tells other hosts the sweep."""
    try:
        committer.catch_up(atomic_write.PATIENCE_SECONDS, _from_now_on(interrupted))
    except FolderBehind as error:
        raise SweepFailed(f"{error}. Then `sweeps sync {folder.id}`, given here, copies what is recorded") from error


def store_of(journal: Journal) -> str:
    """The store to deliver to: where the environment names none, the one that has the sweep's runs already."""
    return tracking_uri(None if "MLFLOW_TRACKING_URI" in os.environ else journal.delivery.store())


def _from_now_on(interrupted: threading.Event) -> Callable[[], bool]:
    """Whether Ctrl-C comes from here on: one that has ended the trials does not end what waits for them, too."""
    if interrupted.is_set():
        return lambda: False
    return interrupted.is_set

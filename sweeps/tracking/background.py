"""Copy what a running sweep records to its folder and to MLflow, in the background, and wait for both at its end."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sweeps.errors import SweepFailed, SweepLocked
from sweeps.storage import atomic_write
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import IsOwner
from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.segment_writer import FolderBehind, SegmentWriter
from sweeps.tracking.journal.write_buffer import JournalBehind
from sweeps.tracking.mlflow.shipper import Shipper
from sweeps.tracking.mlflow.uri import tracking_uri

# How long the end of a sweep waits while MLflow accepts nothing, and the variable that sets it; `sweeps sync` delivers
# the rest. A detached job waits longer: until a request that hangs after a network failure has timed out.
DELIVERY_PATIENCE_SECONDS, DELIVERY_PATIENCE_OF_A_JOB_SECONDS = 10.0, 45.0
DELIVERY_VARIABLE = "SWEEPS_DELIVERY_SECONDS"


@dataclass(frozen=True)
class Recording:
    """A sweep's journal, and the copies made of it while the sweep runs."""

    journal: Journal
    folder: SweepFolder
    segment_writer: SegmentWriter
    interrupted: threading.Event
    shipper: Shipper

    @property
    def experiment_id(self) -> str | None:
        """The experiment of the runs; None until MLflow answers."""
        return self.shipper.experiment_id

    @property
    def delivery(self) -> DeliveryProgress | None:
        """The progress of delivery to MLflow; None until MLflow was tried."""
        return self.shipper.progress

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken over the sweep."""
        return self.segment_writer.is_lost

    def check_owner(self) -> None:
        """Raise SweepLocked if another process has taken over the sweep: what this one records is out of date."""
        self.segment_writer.commit()
        if self.is_lost:
            raise SweepLocked(
                f"{self.folder.id} must be run by one process at a time, and another took it over while this one could "
                f"not reach the store: see `sweeps status {self.folder.id}`"
            )

    def flush_journal(self) -> None:
        """Write everything to the journal, waiting while it is locked or the disk is full; Ctrl-C ends the wait."""
        try:
            self.journal.catch_up(atomic_write.PATIENCE_SECONDS, _from_now_on(self.interrupted))
        except JournalBehind as error:
            raise SweepFailed(
                f"{error}. Then `sweeps resume {self.folder.id}` records the rest, or trains it again"
            ) from error

    def flush_segments(self) -> None:
        """Wait until the sweep's folder has all segments: other hosts see only the folder."""
        try:
            self.segment_writer.catch_up(atomic_write.PATIENCE_SECONDS, _from_now_on(self.interrupted))
        except FolderBehind as error:
            raise SweepFailed(
                f"{error}. Then run `sweeps sync {self.folder.id}` on this host to copy what is recorded"
            ) from error


@contextmanager
def record_in_background(
    journal: Journal, folder: SweepFolder, store_uri: str, is_owner: IsOwner, interrupted: threading.Event
) -> Iterator[Recording]:
    """Write segments to the sweep's folder and deliver to MLflow while the context lasts; at its end, deliver the rest.

    The end waits for MLflow as long as delivery makes progress.
    """
    with _segment_writer(journal, folder, is_owner) as segment_writer:
        shipper = Shipper(journal, store_uri, folder.path)
        shipper.start()
        is_cancelled = interrupted.is_set
        try:
            yield Recording(journal, folder, segment_writer, interrupted, shipper)
            is_cancelled = _from_now_on(interrupted)
        finally:
            segment_writer.commit()  # MLflow gets only what the folder has
            shipper.close(float(os.environ.get(DELIVERY_VARIABLE) or DELIVERY_PATIENCE_SECONDS), is_cancelled)


def store_of(journal: Journal) -> str:
    """Return the URI of the store to deliver to: the environment's, else the one that already has the sweep's runs."""
    return tracking_uri(None if "MLFLOW_TRACKING_URI" in os.environ else journal.delivery.store())


@contextmanager
def _segment_writer(journal: Journal, folder: SweepFolder, is_owner: IsOwner) -> Iterator[SegmentWriter]:
    segment_writer = SegmentWriter(journal, folder, is_owner)
    segment_writer.start()
    try:
        yield segment_writer
    finally:
        segment_writer.close()


def _from_now_on(interrupted: threading.Event) -> Callable[[], bool]:
    """Return a check for a new Ctrl-C: the one that ended the trials does not end the waits after them."""
    if interrupted.is_set():
        return lambda: False
    return interrupted.is_set

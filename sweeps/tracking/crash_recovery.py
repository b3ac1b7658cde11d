"""Recovery of sweeps whose process was lost: the next start ends them in their journals and in MLflow."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from sweeps.errors import SweepError, SweepLocked
from sweeps.storage.layout import SweepFolder, all_folders
from sweeps.storage.sweep_lock import is_owned, own_sweep, owner_of
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointState, SweepState
from sweeps.tracking.journal.restore import open_journal, read_journal
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.mlflow.run_metadata import EPOCHS_TAG
from sweeps.tracking.mlflow.shipper import ShipperStatus, sync
from sweeps.tracking.mlflow.uri import without_credentials
from sweeps.tracking.results import read_result
from sweeps.tracking.sweep_end import record_outcome

PROCESS_LOST = "the process that ran the sweep was lost"
PATIENCE_SECONDS = 10.0


def end_lost_sweep(journal: Journal, folder: SweepFolder) -> bool:
    """Record that a sweep was interrupted when its last entry was written; return False if it has ended already.

    Its running points become KILLED; a resume continues them. This process must own the sweep.
    """
    if journal.sweep().state is not SweepState.RUNNING:
        return False
    last_ms = journal.last_ms()
    for point in journal.points():
        if point.state is PointState.RUNNING:
            epochs = journal.epochs(point.point_id)
            tags = {EPOCHS_TAG: str(epochs[-1].epoch if epochs else 0)}
            journal.end_point(point.point_id, PointEnd(PointState.KILLED, PROCESS_LOST, tags), last_ms)
    record_outcome(journal, read_result(journal, folder), SweepState.INTERRUPTED, {}, last_ms)
    return True


@contextmanager
def open_for_delivery(folder: SweepFolder) -> Iterator[Journal]:
    """Open a sweep's journal to deliver it: a lost sweep is ended, and what is delivered is recorded in its folder.

    If no process runs the sweep, its entries are first copied to its folder, since only copied ones are delivered.
    SweepLocked if a process on another host runs it: that process delivers them.
    """
    owner = owner_of(folder)
    if owner is not None and not owner.runs_here:
        raise SweepLocked(f"{owner} is running {folder.id} and delivers its records: wait")
    try:
        journal = _open_committed(folder)
    except SweepLocked:  # the process that runs the sweep copies its entries
        journal = Journal.open(folder.journal)
    with journal:
        yield journal
    # Open it again: the sweep was not locked during the delivery, and another host may have resumed it.
    with suppress(SweepLocked):
        _open_committed(folder).close()


def deliver_sweep(folder: SweepFolder, uri: str, patience_seconds: float) -> ShipperStatus:
    """Deliver a sweep's undelivered records; give up after `patience_seconds` without progress.

    Raises the errors of `open_for_delivery`.
    """
    with open_for_delivery(folder) as journal:
        return sync(journal, uri, folder.path, patience_seconds)


def _open_committed(folder: SweepFolder) -> Journal:
    """Open the journal of a sweep after copying its entries to the sweep's folder; end a lost sweep first.

    SweepLocked if a process runs the sweep.
    """
    with own_sweep(folder) as is_owner, ExitStack() as if_it_fails:
        journal = if_it_fails.enter_context(open_journal(folder))
        end_lost_sweep(journal, folder)
        SegmentWriter(journal, folder, is_owner).commit()
        if_it_fails.pop_all()
        return journal


def recover_lost_sweeps(uri: str) -> None:
    """End every lost sweep of this host, and deliver undelivered records to the store at `uri` in the background.

    Records that are not delivered before the process ends wait for the next start, or for `sweeps sync`.
    """
    folders = [folder for folder in all_folders() if _needs_delivery(folder, uri)]
    threading.Thread(target=_deliver_all, args=(folders, uri), name="recovery", daemon=True).start()


def _needs_delivery(folder: SweepFolder, uri: str) -> bool:
    """Return whether no process runs a sweep and the store at `uri` lacks records of it; end a lost sweep."""
    try:
        if not folder.journal.exists():  # an object store has other hosts' sweeps
            return False
        with read_journal(folder) as journal:
            if is_owned(folder):
                return False
            if journal.sweep().state is not SweepState.RUNNING:
                return _is_undelivered(journal, uri)
        with own_sweep(folder), open_journal(folder) as journal:
            end_lost_sweep(journal, folder)
            return _is_undelivered(journal, uri)
    except (SweepError, OSError):  # An unreadable sweep must not block another; `sweeps list` reports it.
        return False


def _is_undelivered(journal: Journal, uri: str) -> bool:
    return journal.delivery.store() == without_credentials(uri) and journal.delivery.n_undelivered() > 0


def _deliver_all(folders: list[SweepFolder], uri: str) -> None:
    for folder in folders:
        try:
            deliver_sweep(folder, uri, PATIENCE_SECONDS)
        except (SweepError, OSError):  # Deleted meanwhile, or run by another process.
            continue

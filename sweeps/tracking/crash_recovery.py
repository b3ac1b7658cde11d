"""Sweeps whose process was lost: they are closed, in their journals and in MLflow, when anything else starts."""

import threading
from contextlib import suppress

from sweeps.errors import SweepError, SweepLocked
from sweeps.storage.layout import SweepFolder, all_folders
from sweeps.storage.sweep_lock import is_owned, own_sweep, owner_of
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.journal.restore import open_journal, read_journal
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.mlflow.run_metadata import ranking_description
from sweeps.tracking.mlflow.shipper import ShipperStatus, sync
from sweeps.tracking.mlflow.uri import without_credentials
from sweeps.tracking.results import read_result

PROCESS_LOST = "the process that ran the sweep was lost"
PATIENCE_SECONDS = 10.0


def end_lost_sweep(journal: Journal) -> bool:
    """End a sweep whose process was lost, as of the last thing that it recorded; False where it has ended by itself.

    Its points that ran are KILLED until somebody resumes the sweep. The caller holds the sweep.
    """
    if journal.sweep().state is not SweepState.RUNNING:
        return False
    last_ms = journal.last_ms()
    for point in journal.points():
        if point.state is PointState.RUNNING:
            journal.end_point(point.point_id, PointState.KILLED, PROCESS_LOST, {}, last_ms)
    result = read_result(journal)
    description = ranking_description(result.record, result.points, result.ranking, result.objective_metrics)
    journal.end_sweep(SweepState.INTERRUPTED, description, {}, last_ms)
    return True


def end_sweep_if_lost(folder: SweepFolder) -> None:
    """Close a sweep that no process runs and that has not ended; SweepLocked where one has just begun to."""
    with read_journal(folder) as journal:
        if journal.sweep().state is not SweepState.RUNNING or is_owned(folder):
            return
    with own_sweep(folder), open_journal(folder) as journal:
        end_lost_sweep(journal)


def deliver_sweep(folder: SweepFolder, uri: str, patience_seconds: float) -> ShipperStatus:
    """Deliver what MLflow lacks of a sweep; give up when nothing has arrived for this long.

    Where no process runs the sweep, its folder first gets what it lacks, for MLflow is sent no more than that.
    SweepLocked where one does on another host, which delivers by itself.
    """
    owner = owner_of(folder)
    if owner is not None and not owner.runs_here:
        raise SweepLocked(f"{folder.id} must be delivered by the process that runs it, and {owner} does: wait for it")
    try:
        journal = _open_committed(folder)
    except SweepLocked:  # the process that runs the sweep copies its entries
        journal = Journal.open(folder.journal)
    with journal:
        status = sync(journal, uri, folder.path, patience_seconds)
    with suppress(SweepLocked):
        _open_committed(folder).close()
    return status


def _open_committed(folder: SweepFolder) -> Journal:
    """Open the journal of a sweep after copying its entries to the sweep's folder; SweepLocked if a process runs it."""
    with own_sweep(folder) as is_owner:
        journal = open_journal(folder)
        SegmentWriter(journal, folder, is_owner).commit()
        return journal


def recover_lost_sweeps(uri: str) -> None:
    """Close every lost sweep under SWEEPS_HOME, and deliver in the background what the store at `uri` lacks of them.

    What it does not come to before the process ends waits for the next start, or for `sweeps sync`.
    """
    here = [folder for folder in all_folders() if folder.journal.exists()]  # in a store there are those of other hosts
    folders = [folder for folder in here if _is_behind(folder, uri)]
    threading.Thread(target=_deliver, args=(folders, uri), name="reconciler", daemon=True).start()


def _is_behind(folder: SweepFolder, uri: str) -> bool:
    """Whether no process runs a sweep, and this store has begun to get it and has not got all; closes it if lost."""
    try:
        with read_journal(folder) as journal:
            if is_owned(folder):
                return False
            if journal.sweep().state is not SweepState.RUNNING:
                return _lacks_entries(journal, uri)
        with own_sweep(folder), open_journal(folder) as journal:
            end_lost_sweep(journal)
            return _lacks_entries(journal, uri)
    except (SweepError, OSError):  # A sweep that cannot be read keeps no other from starting; `list` tells of it.
        return False


def _lacks_entries(journal: Journal, uri: str) -> bool:
    return journal.delivery.store() == without_credentials(uri) and journal.delivery.n_undelivered() > 0


def _deliver(folders: list[SweepFolder], uri: str) -> None:
    for folder in folders:
        try:
            deliver_sweep(folder, uri, PATIENCE_SECONDS)
        except (SweepError, OSError):  # Deleted meanwhile.
            continue

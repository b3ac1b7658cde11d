"""Deletion of a sweep: its folder and, if asked, its runs in MLflow."""

from contextlib import suppress
from pathlib import Path

from sweeps.errors import InputError, TrackingError, UndeliveredError
from sweeps.storage.layout import SweepFolder
from sweeps.storage.private_files import explained_errors, remove_tree
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.restore import open_journal
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.mlflow.connection import Refused, Unavailable
from sweeps.tracking.mlflow.uri import check_tracker, tracking_uri


def delete_sweep(folder: SweepFolder, *, runs: bool = False, force: bool = False) -> int:
    """Delete a sweep's folder, with `runs` also its MLflow runs; return the number of runs deleted.

    MLflow keeps deleted runs until `mlflow gc`. Raises SweepLocked if a process runs the sweep, UndeliveredError if
    the folder has undelivered records and neither `runs` nor `force` is set, TrackingError if MLflow fails to delete.
    With `force` and without `runs` the journal is not read: it may be damaged.
    """
    with own_sweep(folder):
        n_deleted = 0
        if runs or not force:
            with open_journal(folder) as journal:
                n_deleted = _delete_recorded(folder, journal, runs=runs, force=force)
        with explained_errors(folder.path):
            _remove(folder)
    return n_deleted


def _delete_recorded(folder: SweepFolder, journal: Journal, *, runs: bool, force: bool) -> int:
    """Check that the records of a sweep may be deleted, and with `runs` delete its runs; return their number."""
    if journal.sweep().sweep_id != folder.id:
        raise InputError(
            f"{folder.path} must have the journal of {folder.id} to be deleted, and has that of another sweep: rename "
            "the folder to its id, or delete the folder alone with --force"
        )
    n_undelivered = journal.delivery.n_undelivered()
    if n_undelivered and not (runs or force):
        raise UndeliveredError(
            f"{folder.id} must be delivered to MLflow before it is deleted, and has {n_undelivered} "
            f"undelivered records: deliver them with `sweeps sync {folder.id}`, or delete them with --force"
        )
    return _delete_runs(journal) if runs else 0


def _delete_runs(journal: Journal) -> int:
    if journal.delivery.store() is None:
        return 0
    uri, sweep = tracking_uri(journal.delivery.store()), journal.sweep()
    check_tracker(uri)
    try:
        store = MlflowStore(uri, sweep.experiment, sweep.sweep_id)
        run_ids = store.find_runs().values()
        for run_id in run_ids:
            store.delete_run(run_id)
    except (Refused, Unavailable) as error:
        raise TrackingError(
            f"MLflow must delete the runs of {sweep.sweep_id}, and failed ({error}): try again once it answers"
        ) from None
    return len(run_ids)


def _remove(folder: SweepFolder) -> None:
    """Remove the journal last: a partly deleted sweep is still listed and can be deleted again."""
    if isinstance(folder.path, Path):
        remove_tree(folder.path, last=(folder.journal.name, folder.lock.name, folder.segments.name))
    else:
        folder.path.remove_tree()
    with suppress(FileNotFoundError):
        remove_tree(folder.local)

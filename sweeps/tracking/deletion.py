"""Deletion of a sweep: its folder and, if asked, its runs in MLflow."""

import shutil
from pathlib import Path

from sweeps.errors import TrackingError, UndeliveredError
from sweeps.storage.layout import SweepFolder
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
    """
    with own_sweep(folder):
        with open_journal(folder) as journal:
            n_undelivered = journal.delivery.n_undelivered()
            if n_undelivered and not (runs or force):
                raise UndeliveredError(
                    f"{folder.id} must be delivered to MLflow before it is deleted, and has {n_undelivered} "
                    f"undelivered records: deliver them with `sweeps sync {folder.id}`, or delete them with --force"
                )
            n_deleted = _delete_runs(journal) if runs else 0
        _remove(folder)
    return n_deleted


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
        kept = (folder.journal.name, folder.lock.name, folder.segments.name)
        for part in folder.path.iterdir():
            if part.name.startswith(kept):
                continue
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        shutil.rmtree(folder.path)
    else:
        folder.path.remove_tree()
    shutil.rmtree(folder.local, ignore_errors=True)

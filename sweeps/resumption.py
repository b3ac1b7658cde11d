"""A sweep that goes on: resumed after it was stopped or lost, or given more trials."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sweeps.config import SweepConfig
from sweeps.errors import DataError, SweepDone
from sweeps.launch import carry_out, set_up
from sweeps.signals import interruption
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import IsOwner, own_sweep
from sweeps.tracking.background import committing, shipping, store_of
from sweeps.tracking.crash_recovery import end_lost_sweep, recover_lost_sweeps
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
from sweeps.tracking.journal.restore import open_journal
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult, load_result, read_result
from sweeps.tracking.resume_state import ResumeState, extended, read_past, seconds_left
from sweeps.tracking.sweep_end import end_sweep, state_of
from sweeps.trial.events import now_ms

if TYPE_CHECKING:
    from sweeps.trial.dataset import Dataset


def resume(
    folder: SweepFolder,
    *,
    n_more: int = 0,
    watch: Callable[[Progress], None] | None = None,
    started: float | None = None,
) -> SweepResult:
    """Go on with a sweep that was stopped or lost: with the trials that have not ended, from their checkpoints.

    `n_more` gives it so many more trials, also where it has finished. MLflow need not answer. `watch` and `started` are
    those of `run`. Raises SweepLocked where another process runs it, SweepDone where nothing is left to train.
    """
    began = started or time.time()
    with own_sweep(folder) as is_mine, open_journal(folder) as journal:
        was_lost = end_lost_sweep(journal)
        before = SweepConfig.restore(journal.sweep().config)
        config = extended(before, n_more) if n_more else before
        past = read_past(journal, config)
        if was_lost and not past.n_left(config):
            _end(journal, folder, began, is_mine)
        else:
            _check_left(folder.id, journal, config, past, is_longer=n_more > 0)
            uri = store_of(journal)
            recover_lost_sweeps(uri)
            with set_up(config) as setup:
                _check_data(journal.sweep(), setup.dataset)
                folder.write_config(config.to_yaml())
                tags = {"sweeps.extended": f"to {config.n_trials} trials"} if n_more else {}
                journal.resume_sweep(config.to_dict() if n_more else None, tags, now_ms())
                carry_out(config, setup, folder, journal, past, began, watch, uri, is_mine)
    return load_result(folder)


def _end(journal: Journal, folder: SweepFolder, began: float, is_mine: IsOwner) -> None:
    """Record how a sweep ended whose process was lost after its last trial, and deliver what that one did not."""
    with (
        interruption() as interrupted,
        committing(journal, folder, is_mine) as committer,
        shipping(journal, store_of(journal), folder, interrupted, committer),
    ):
        end_sweep(journal, folder, state_of(read_result(journal), interrupted=False), began, None, now_ms())


def _check_left(sweep_id: str, journal: Journal, config: SweepConfig, past: ResumeState, *, is_longer: bool) -> None:
    """SweepDone where nothing is left to train, or no time to train it in; what is given more has its time anew."""
    more = f"`sweeps extend {sweep_id} --trials N` gives it more"
    if not past.n_left(config):
        raise SweepDone(f"{sweep_id} has nothing left to train, all its {config.n_trials} trials have ended: {more}")
    if not is_longer and seconds_left(config, journal) <= 0:
        raise SweepDone(f"{sweep_id} has used up its budget.seconds, {config.budget.seconds:g}: {more}")


def _check_data(sweep: SweepRecord, dataset: "Dataset") -> None:
    """DataError where the data are no longer those on which the sweep's first trials were trained."""
    if json.dumps(sweep.dataset, sort_keys=True) != json.dumps(dataset.description, sort_keys=True):
        raise DataError(
            f"the data of {sweep.sweep_id} must be those that it began with, and they have changed since: put the "
            "former ones back, or run a new sweep"
        )

"""Resume a sweep that was interrupted or lost, or extend one by more trials."""

import json
import time
from collections.abc import Mapping
from typing import Any

from sweeps.cluster.tune.sweep_run import SweepRun
from sweeps.config import SweepConfig
from sweeps.errors import DataError, SweepDone
from sweeps.launch import Watch, prepare, start_progress, train_and_record
from sweeps.signals import interruption
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import IsOwner, own_sweep
from sweeps.tracking.background import record_in_background, store_of
from sweeps.tracking.crash_recovery import end_lost_sweep, recover_lost_sweeps
from sweeps.tracking.device_time import device_hours_left
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
from sweeps.tracking.journal.restore import open_journal
from sweeps.tracking.plugin_tags import changed_plugin_tags
from sweeps.tracking.results import SweepResult, load_result, restored_config
from sweeps.tracking.resume_state import ResumeState, count_ended, extended, read_resume_state, seconds_left
from sweeps.tracking.submission import resume_tags
from sweeps.tracking.sweep_end import SweepEnd, record_end, state_of
from sweeps.trial.events import now_ms


def resume(
    folder: SweepFolder,
    *,
    n_more: int = 0,
    watch: Watch | None = None,
    started: float | None = None,
) -> SweepResult:
    """Resume an interrupted sweep; unfinished trials continue from their checkpoints.

    `n_more` adds that many trials, also to a finished sweep. MLflow need not be reachable. `watch` and `started` are
    as in `run`. Raises SweepLocked if another process runs the sweep, SweepDone if nothing is left to train.
    """
    began = started or time.time()
    with own_sweep(folder) as is_owner, open_journal(folder) as journal:
        was_lost = end_lost_sweep(journal, folder)
        record = journal.sweep()
        before = restored_config(record, journal)
        config = extended(before, n_more) if n_more else before
        state = read_resume_state(journal, folder, config)
        if was_lost and not state.n_remaining(config):
            assert state.result is not None, "the sweep has started before"
            _deliver_end(journal, state.result, began, is_owner)
            return load_result(folder)
        _check_remaining(folder.id, journal, config, state, is_longer=n_more > 0)
        uri = store_of(journal)
        recover_lost_sweeps(uri)
        progress = start_progress(config, watch, folder.id)
        count_ended(progress, state)
        with prepare(config, progress, is_measured=state.is_measured) as inputs:
            _check_data(record, inputs.dataset.description)
            folder.write_config(config.to_yaml())
            tags = {"sweeps.extended": f"to {config.n_trials} trials"} if n_more else {}
            tags |= resume_tags(record.tags, uri) | changed_plugin_tags(record.tags, config)
            journal.resume_sweep(config.to_dict() if n_more else None, tags, now_ms())
            train_and_record(SweepRun(config, inputs, folder, journal, uri, is_owner, began, progress, state))
    return load_result(folder)


def _deliver_end(journal: Journal, result: SweepResult, began: float, is_owner: IsOwner) -> None:
    """Record and deliver the end of a sweep whose process was lost after its last trial."""
    with (
        interruption() as interrupted,
        record_in_background(journal, result.folder, store_of(journal), is_owner, interrupted),
    ):
        end = SweepEnd(state_of(result, interrupted=False), now_ms(), time.time() - began)
        record_end(journal, result, end)


def _check_remaining(
    sweep_id: str, journal: Journal, config: SweepConfig, state: ResumeState, *, is_longer: bool
) -> None:
    """Raise SweepDone if no points or no time remain; an extended sweep starts a new time budget."""
    hint = f"`sweeps extend {sweep_id} --trials N` adds trials (sweeps.extend in Python)"
    if not state.n_remaining(config):
        raise SweepDone(
            f"{sweep_id} must have trials left to be resumed, and all its {config.n_trials} have ended: {hint}"
        )
    if not is_longer and seconds_left(config, journal) <= 0:
        raise SweepDone(
            f"{sweep_id} must have time left to be resumed, and has used up its budget.seconds "
            f"({config.budget.seconds:g}): {hint}"
        )
    if device_hours_left(config, journal) <= 0:
        action = "extended" if is_longer else "resumed"
        raise SweepDone(
            f"{sweep_id} must have device time left to be {action}, and has used up its "
            f"budget.device_hours ({config.budget.device_hours:g}): run a new sweep with a larger one"
        )


def _check_data(sweep: SweepRecord, description: Mapping[str, Any]) -> None:
    """Raise DataError if the data have changed since the sweep's first start."""
    if json.dumps(sweep.dataset, sort_keys=True) != json.dumps(description, sort_keys=True):
        raise DataError(
            f"the data of {sweep.sweep_id} must be those it started with, and have changed since: restore them, or run "
            "a new sweep"
        )

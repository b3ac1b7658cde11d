"""A sweep from its config to its result: the whole of it, read top to bottom."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.cluster import session
from sweeps.cluster.resources import Share, share_of
from sweeps.cluster.session import Cluster
from sweeps.config import SweepConfig
from sweeps.errors import SweepFailed
from sweeps.search.packing import ALL_DIFFER, can_pack, why_single
from sweeps.signals import interruption
from sweeps.storage import atomic_write, layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import IsOwner, own_sweep
from sweeps.tracking.background import catch_up, check_mine, committing, copy_all, shipping
from sweeps.tracking.crash_recovery import recover_lost_sweeps
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord, SweepState
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.journal.write_buffer import JournalBehind
from sweeps.tracking.mlflow.run_metadata import environment_tags, flatten
from sweeps.tracking.mlflow.uri import check_tracker, tracking_uri
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult, load_result, read_result
from sweeps.tracking.resume_state import ResumeState, count_past, seconds_left
from sweeps.tracking.sweep_end import end_sweep, state_of
from sweeps.trial.events import now_ms

if TYPE_CHECKING:
    from sweeps.datamodules.arrays import DataArrays
    from sweeps.trial.dataset import Dataset


@dataclass(frozen=True)
class Setup:
    """What a sweep is given once, before any trial."""

    dataset: "Dataset"
    share: Share
    interrupted: threading.Event


def run(
    config: SweepConfig,
    *,
    offline: bool = False,
    sweep_id: str | None = None,
    watch: Callable[[Progress], None] | None = None,
    started: float | None = None,
    uri: str | None = None,
) -> SweepResult:
    """Train every trial of a sweep, here or on the cluster that RAY_ADDRESS names, and record it.

    `offline` does not ask MLflow to answer at the start. `sweep_id` is the new sweep's, where it has one already.
    `watch` is given the counters that the sweep keeps up to date. `started` is when the command began, in seconds since
    1970: the result's seconds count from there. `uri` is the store to deliver to, by default the environment's.
    Raises InputError before any trial starts; what becomes of the trials is in the result.
    """
    began = started or time.time()
    uri = tracking_uri(uri)
    if not offline:
        check_tracker(uri)
    layout.check_home()
    recover_lost_sweeps(uri)
    with set_up(config) as setup:
        folder = layout.create(config.name, sweep_id)
        with own_sweep(folder) as is_mine:
            folder.write_config(config.to_yaml())
            with Journal.create(folder.journal, _record(config, folder, setup.dataset, began)) as journal:
                carry_out(config, setup, folder, journal, ResumeState(), began, watch, uri, is_mine)
    return load_result(folder)


def carry_out(
    config: SweepConfig,
    setup: Setup,
    folder: SweepFolder,
    journal: Journal,
    past: ResumeState,
    began: float,
    watch: Callable[[Progress], None] | None,
    uri: str,
    is_mine: IsOwner,
) -> None:
    """Train what is left of a sweep while MLflow gets what is recorded, and record how it ended.

    `is_mine` is what `own_sweep` gives. SweepLocked where another process has taken up the sweep meanwhile.
    """
    progress = Progress(
        folder.id,
        config.n_trials,
        config.n_epochs,
        config.objectives[0],
        config.budget.seconds,
        n_at_once=setup.share.concurrency,
        packs=can_pack(config),
    )
    count_past(progress, read_result(journal))
    _save_comparison(folder, config, setup.dataset)
    with (
        committing(journal, folder, is_mine) as committer,
        shipping(journal, uri, folder, setup.interrupted, committer),
    ):
        if watch is not None:
            watch(progress)
        try:
            _train(config, setup, folder, journal, past, progress, committer)
        except SweepFailed:
            with suppress(SweepFailed):  # the reason that is raised is the first one
                catch_up(journal, folder, setup.interrupted)
            check_mine(folder, committer)
            end_sweep(journal, folder, SweepState.FAILED, began, _startup(progress, setup.share, began), now_ms())
            raise
        check_mine(folder, committer)
        atomic_write.try_to_remove(folder.layers)  # of use to running trials only
        catch_up(journal, folder, setup.interrupted)
        state = state_of(read_result(journal), interrupted=setup.interrupted.is_set())
        end_sweep(journal, folder, state, began, _startup(progress, setup.share, began), now_ms())
        catch_up(journal, folder, setup.interrupted)
        copy_all(folder, committer, setup.interrupted)
        check_mine(folder, committer)


@contextmanager
def set_up(config: SweepConfig) -> Iterator[Setup]:
    """Load the data, connect to Ray, and turn Ctrl-C into an event for as long as the context lasts."""
    from sweeps.trial.dataset import fit_references

    address = os.environ.get("RAY_ADDRESS")
    with _loading(config) as arrays:
        session.prepare(address)
        if arrays.done():
            arrays.result()  # raises before Ray starts where they are found missing by now
        # Handlers after the connection: Ray sets its own for SIGTERM.
        with session.connect(address) as cluster, interruption() as interrupted:
            # References only here: a local Ray has forked its processes.
            yield Setup(fit_references(arrays.result()), _share(config, cluster), interrupted)


def _share(config: SweepConfig, cluster: Cluster) -> Share:
    """What each Tune trial takes; the log says why trials run one by one where nobody has asked for that."""
    reason = why_single(config) or (None if can_pack(config) else ALL_DIFFER)
    if reason is not None and config.n_trials > 1 and config.execution != "single":
        logging.getLogger(__name__).warning("Trials run one by one, not in packs: %s", reason)
    return share_of(config.resources, cluster, packs=can_pack(config))


@contextmanager
def _loading(config: SweepConfig) -> "Iterator[Future[DataArrays]]":
    """The data, while they are read beside what else takes seconds."""
    from sweeps.trial.dataset import load_suitable

    background = ThreadPoolExecutor(1)
    try:
        yield background.submit(load_suitable, config)
    finally:
        background.shutdown(wait=False, cancel_futures=True)


def _save_comparison(folder: SweepFolder, config: SweepConfig, dataset: "Dataset") -> None:
    from sweeps.trial.figure_references import save_comparison

    if not folder.references.exists():  # as where the sweep is resumed
        save_comparison(folder.references, config, dataset)


def _record(config: SweepConfig, folder: SweepFolder, dataset: "Dataset", began: float) -> SweepRecord:
    return SweepRecord(
        sweep_id=folder.id,
        name=config.name,
        experiment=config.experiment,
        config=config.to_dict(),
        start_ms=round(began * 1000),
        params=flatten(config.to_dict()),
        tags=environment_tags(),
        dataset=dataset.description,
        description=config.description,
    )


def _train(
    config: SweepConfig,
    setup: Setup,
    folder: SweepFolder,
    journal: Journal,
    past: ResumeState,
    progress: Progress,
    committer: SegmentWriter,
) -> None:
    """Hand every point to Tune; return when all have ended, the time is up, or the sweep is interrupted or lost."""
    from sweeps.cluster.tune.journal_callback import JournalCallback
    from sweeps.cluster.tune.tuner import tuner

    references = setup.dataset.references
    callback = JournalCallback(journal, folder, progress, config, environment_tags(), references, past.ended_ids)
    deadline = time.monotonic() + seconds_left(config, journal)

    def is_over() -> bool:
        return setup.interrupted.is_set() or committer.is_lost or time.monotonic() > deadline

    try:
        # What Tune itself keeps is of no use afterwards, and need not lie where the workers see it.
        with tempfile.TemporaryDirectory(prefix="sweeps-tune-") as storage:
            tuner(config, setup.dataset, setup.share, folder, past, callback, is_over, storage).fit()
    except KeyboardInterrupt:
        setup.interrupted.set()  # a second Ctrl-C, which does not wait for Tune
    except Exception as error:
        # Tune itself, or the journal: what a training raises is a trial's result and does not come here.
        reason = f"the sweep broke off: {type(error).__name__}: {' '.join(str(error).split())}"
        with suppress(JournalBehind):  # which may be why it broke off: the lost are closed by whoever looks next
            callback.end_running(reason, keep_measured=False)
        raise SweepFailed(f"{reason}. What its trials recorded is kept: sweeps status {folder.id}") from error
    if setup.interrupted.is_set():
        callback.end_running("interrupted", keep_measured=False)
    else:
        callback.end_running("budget.seconds", keep_measured=True)


def _startup(progress: Progress, share: Share, began: float) -> float | None:
    """Seconds until every worker was ready to train: until the first report of the last of them."""
    # A point that is resumed first reports what was measured before.
    first = sorted(ready_ms for ready_ms in progress.ready_ms.values() if ready_ms >= began * 1000)[: share.concurrency]
    return first[-1] / 1000 - began if first else None

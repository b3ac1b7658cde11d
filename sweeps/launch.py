"""A sweep from its config to its result: the whole story, read top to bottom."""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sweeps.analysis.report.automatic import keep_report
from sweeps.cluster import session
from sweeps.cluster.plugin_shipment import network_sources
from sweeps.cluster.resources import share_of
from sweeps.cluster.tune.sweep_run import SweepInputs, SweepRun
from sweeps.config import SweepConfig
from sweeps.errors import SweepFailed
from sweeps.search.packing import Packing, decide_packing
from sweeps.signals import interruption
from sweeps.storage import atomic_write, layout
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import own_sweep
from sweeps.tracking.background import Recording, record_in_background
from sweeps.tracking.crash_recovery import recover_lost_sweeps
from sweeps.tracking.device_time import Budgets
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord, SweepState
from sweeps.tracking.journal.write_buffer import JournalBehind
from sweeps.tracking.mlflow.links import VIEW_TAG, where_to_look
from sweeps.tracking.mlflow.run_metadata import environment_tags, flatten
from sweeps.tracking.mlflow.uri import check_tracker, tracking_uri
from sweeps.tracking.plugin_tags import plugin_tags
from sweeps.tracking.progress import Progress, Stage
from sweeps.tracking.quotes import find_quote, record_actual
from sweeps.tracking.results import SweepResult, load_result, read_result
from sweeps.tracking.submission import Submission, current_submission
from sweeps.tracking.sweep_end import SweepEnd, record_end, state_of
from sweeps.trial.events import now_ms

if TYPE_CHECKING:
    from sweeps.cluster.tune.journal_callback import JournalCallback
    from sweeps.datamodules.arrays import DataArrays

Watch = Callable[[Progress], None]


def run(
    config: SweepConfig,
    *,
    offline: bool = False,
    sweep_id: str | None = None,
    watch: Watch | None = None,
    started: float | None = None,
    uri: str | None = None,
) -> SweepResult:
    """Train every trial of a sweep, here or on the cluster that RAY_ADDRESS names, and record it.

    `offline` starts even if MLflow is unreachable. `sweep_id` is the new sweep's id, if it already has one. `watch`
    gets the sweep's counters at the start, and the sweep keeps them up to date. `started`, in seconds since 1970, is
    when the command began: the result's seconds count from there. `uri` is the MLflow store to deliver to, by default
    the environment's. Raises InputError before any trial starts; a failure of a trial is part of the result.
    """
    began = started or time.time()
    progress = start_progress(config, watch)
    uri = tracking_uri(uri)
    if not offline:
        progress.enter(Stage.STARTING, "checking the MLflow store")
        check_tracker(uri)
    layout.check_home()
    recover_lost_sweeps(uri)
    with prepare(config, progress) as inputs:
        folder = layout.create(config.name, sweep_id)
        progress.sweep_id = folder.id
        with own_sweep(folder) as is_owner:
            folder.write_config(config.to_yaml())
            submission = current_submission(None if offline else uri)
            with Journal.create(folder.journal, _record(config, folder, inputs, began, submission)) as journal:
                train_and_record(SweepRun(config, inputs, folder, journal, uri, is_owner, began, progress))
    return load_result(folder)


def start_progress(config: SweepConfig, watch: Watch | None, sweep_id: str = "") -> Progress:
    """Return the counters of a sweep that starts, after `watch` got them."""
    progress = Progress.of(config, sweep_id)
    if watch is not None:
        watch(progress)
    return progress


@contextmanager
def prepare(config: SweepConfig, progress: Progress, *, is_measured: bool = False) -> Iterator[SweepInputs]:
    """Load the data, connect to Ray, and turn Ctrl-C into an event while the context lasts.

    Raises DataError if the data cannot give an objective or a gate; `is_measured` if earlier trials show that they can.
    """
    from sweeps.trial.dataset import fit_references

    address = os.environ.get("RAY_ADDRESS")
    packing = decide_packing(config)
    progress.enter(Stage.STARTING, "reading the data")
    with _loading(config, is_measured) as loading:
        session.prepare(address)
        arrays = loading.result()  # if the data are bad, raise before Ray starts
        joining = "starting Ray" if session.is_local_address(address) else f"joining the Ray cluster at {address}"
        progress.enter(Stage.STARTING, joining)
        # Signal handlers after the connection: Ray sets its own for SIGTERM.
        with session.connect(address, network_sources(config)) as cluster, interruption() as interrupted:
            progress.cluster = str(cluster)
            _log_packing(config, packing)
            share = share_of(config.resources, cluster, packs=packing.is_packed)
            progress.n_at_once, progress.packs = share.concurrency, packing.is_packed
            progress.enter(Stage.STARTING, "fitting reference models")
            # References after Ray has started: fitting them beside a fork deadlocks.
            dataset = fit_references(config, arrays, is_measured=is_measured)
            yield SweepInputs(dataset, share, packing, interrupted)


def train_and_record(run: SweepRun) -> None:
    """Train the remaining points of a sweep while its journal is copied to its folder and to MLflow; record its end.

    Raises SweepLocked if another process takes over the sweep meanwhile.
    """
    _save_references(run)
    budgets = Budgets(run.config, run.journal, run.inputs.share.devices)
    with (
        record_in_background(run.journal, run.folder, run.store_uri, run.is_owner, run.inputs.interrupted) as recording,
        keep_report(run.config, run.folder, run.journal, lambda: recording.is_lost),
    ):
        run.progress.where_to_look = _page_finder(run, recording)
        run.progress.delivery = lambda: recording.delivery
        run.progress.enter(Stage.TRAINING)
        try:
            _train(run, recording, budgets)
        except SweepFailed:
            with suppress(SweepFailed):  # raise the first reason
                recording.flush_journal()
            recording.check_owner()
            _end(run, budgets, SweepState.FAILED)
            raise
        run.progress.enter(Stage.DELIVERING)
        recording.check_owner()
        atomic_write.try_to_remove(run.folder.layers)  # only running trials use them
        recording.flush_journal()
        _end(run, budgets)
        recording.flush_journal()
        recording.flush_segments()
        recording.check_owner()


def _page_finder(run: SweepRun, recording: Recording) -> Callable[[], str]:
    """Return a function that returns where MLflow shows the runs, "" until MLflow answers; any thread may call it."""
    view = run.journal.sweep().tags.get(VIEW_TAG)
    return lambda: where_to_look(run.store_uri, recording.experiment_id, run.config, run.folder.id, view)


def _train(run: SweepRun, recording: Recording, budgets: Budgets) -> None:
    """Train every remaining point with Ray Tune, until all ended, a budget is used up, or an interruption or loss."""
    from sweeps.cluster.tune.journal_callback import JournalCallback
    from sweeps.cluster.tune.tuner import tuner

    interrupted = run.inputs.interrupted
    callback = JournalCallback(run, budgets.device_time)
    run.progress.deadline = budgets.deadline

    def is_over() -> bool:
        if interrupted.is_set():
            run.progress.enter(Stage.STOPPING, "stopping: trials end with their current epoch")
        return interrupted.is_set() or recording.is_lost or budgets.are_used_up()

    try:
        # Tune's own files are of no use afterwards, and workers need not see them.
        with tempfile.TemporaryDirectory(prefix="sweeps-tune-") as storage:
            tuner(run, callback, is_over, storage).fit()
    except KeyboardInterrupt:
        interrupted.set()  # the second Ctrl-C, which does not wait for Tune
    except Exception as error:  # Tune itself or the journal failed: an error of a training is its trial's result
        raise _aborted(run, callback, error) from error
    if interrupted.is_set():
        callback.end_running("interrupted", keep_measured=False)
    else:
        callback.end_running(budgets.ended_by or "budget.seconds", keep_measured=True)


def _aborted(run: SweepRun, callback: "JournalCallback", error: Exception) -> SweepFailed:
    reason = f"sweep aborted: {type(error).__name__}: {' '.join(str(error).split())}"
    with suppress(JournalBehind):  # possibly the cause itself; the next command closes the lost runs
        callback.end_running(reason, keep_measured=False)
    return SweepFailed(f"{reason}. What its trials recorded is kept: see `sweeps status {run.folder.id}`")


def _end(run: SweepRun, budgets: Budgets, state: SweepState | None = None) -> None:
    """Record how the sweep ended; by default, the states of its trials decide."""
    result = read_result(run.journal, run.folder)
    state = state or state_of(result, interrupted=run.inputs.interrupted.is_set())
    seconds, hours = time.time() - run.began, budgets.device_time.hours
    quote = None if run.resume_state.result else find_quote(run.config)  # a quote is for a sweep in one go
    quoted = None if quote is None else quote.seconds
    end = SweepEnd(state, now_ms(), seconds, run.startup_seconds, hours, budgets.ended_by, quoted)
    record_end(run.journal, result, end)
    if quote is not None and state is SweepState.FINISHED and budgets.ended_by is None:
        record_actual(quote, seconds)


def _log_packing(config: SweepConfig, packing: Packing) -> None:
    """Log why trials run one by one unless the config asks for it."""
    if not packing.is_packed and config.n_trials > 1 and config.execution != "single":
        logging.getLogger(__name__).warning("Trials run one by one, not in packs: %s", packing.why_single)


@contextmanager
def _loading(config: SweepConfig, is_measured: bool) -> "Iterator[Future[DataArrays]]":
    """Load and check the data in a thread, while Ray is imported."""
    from sweeps.trial.dataset import load_suitable

    background = ThreadPoolExecutor(1)
    try:
        yield background.submit(load_suitable, config, is_measured=is_measured)
    finally:
        background.shutdown(wait=False, cancel_futures=True)


def _save_references(run: SweepRun) -> None:
    from sweeps.trial.figure_references import save_references

    if not run.folder.references.exists():  # a resumed sweep already has them
        save_references(run.folder.references, run.config, run.inputs.dataset)


def _record(
    config: SweepConfig, folder: SweepFolder, inputs: SweepInputs, began: float, submission: Submission
) -> SweepRecord:
    return SweepRecord(
        sweep_id=folder.id,
        name=config.name,
        experiment=config.experiment,
        config=config.to_dict(),
        start_ms=round(began * 1000),
        params=flatten(config.to_dict()),
        tags=environment_tags() | plugin_tags(config) | submission.to_tags() | {VIEW_TAG: folder.id},
        dataset=inputs.dataset.description,
        description=config.description,
    )

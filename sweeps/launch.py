"""A sweep from its config to its result: the whole of it, read top to bottom."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from sweeps import folder as folders
from sweeps.cluster import session
from sweeps.cluster.share import Share, share_of
from sweeps.config import SweepConfig
from sweeps.errors import SweepFailed
from sweeps.events import now_ms
from sweeps.folder import SweepFolder
from sweeps.progress import Progress
from sweeps.results import SECONDS, STARTUP_SECONDS, SweepResult, load_result, read_result
from sweeps.tracking.address import check_tracker, tracking_uri
from sweeps.tracking.journal import Journal
from sweeps.tracking.records import PointState, SweepRecord, SweepState
from sweeps.tracking.runs import environment_tags, flatten, ranking_description
from sweeps.tracking.shipper import Shipper

if TYPE_CHECKING:
    from ray import tune

    from sweeps.callback import JournalCallback
    from sweeps.dataset import Dataset

# How long the end of a sweep waits for MLflow while that takes nothing; `sweeps sync` delivers the rest.
DELIVERY_PATIENCE_SECONDS = 10.0


def run(
    config: SweepConfig,
    *,
    offline: bool = False,
    watch: Callable[[Progress], None] | None = None,
    started: float | None = None,
) -> SweepResult:
    """Train every trial of a sweep, here or on the cluster that RAY_ADDRESS names, and record it.

    `offline` does not ask MLflow to answer at the start. `watch` is given the counters that the sweep keeps up to date.
    `started` is when the command began, in seconds since 1970: the result's seconds count from there.
    Raises InputError before any trial starts; what becomes of the trials is in the result.
    """
    began = started or time.time()
    uri = tracking_uri()
    if not offline:
        check_tracker(uri)
    folders.check_home()
    address = os.environ.get("RAY_ADDRESS")
    dataset = _load_while(config, lambda: session.prepare(address))
    # Handlers after the connection: Ray sets its own for SIGTERM.
    with session.connect(address) as cluster, _interruption() as interrupted:
        share = share_of(config.resources, cluster)
        folder = folders.create(config.name)
        folder.config.write_text(config.to_yaml())
        progress = Progress(folder.id, config.n_trials, config.n_epochs, config.objectives[0], config.budget.seconds)
        with (
            Journal.create(folder.journal, _record(config, folder, dataset, began)) as journal,
            _shipping(journal, uri, folder, interrupted),
        ):
            if watch is not None:
                watch(progress)
            try:
                _train(config, dataset, share, folder, journal, progress, interrupted)
            except SweepFailed:
                _end(journal, SweepState.FAILED, began, _startup(progress, share, began))
                raise
            state = _state(read_result(journal), interrupted=interrupted.is_set())
            _end(journal, state, began, _startup(progress, share, began))
    return load_result(folder)


def _load_while(config: SweepConfig, prepare: Callable[[], None]) -> "Dataset":
    """Load the data while something else takes seconds; what goes wrong in either is raised at once."""
    from sweeps.dataset import load_dataset

    background = ThreadPoolExecutor(1)
    try:
        loading = background.submit(load_dataset, config)
        prepare()
        return loading.result()
    finally:
        background.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _shipping(journal: Journal, uri: str, folder: SweepFolder, interrupted: threading.Event) -> Iterator[None]:
    """Deliver to MLflow in the background, and at the end for as long as that makes progress."""
    shipper = Shipper(journal, uri, folder.path)
    shipper.start()
    was_interrupted = False
    try:
        yield
        was_interrupted = interrupted.is_set()
    finally:
        shipper.close(DELIVERY_PATIENCE_SECONDS, lambda: interrupted.is_set() and not was_interrupted)


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
    dataset: "Dataset",
    share: Share,
    folder: SweepFolder,
    journal: Journal,
    progress: Progress,
    interrupted: threading.Event,
) -> None:
    """Hand every point to Tune; return when all have ended, the time is up, or the sweep is interrupted."""
    from sweeps.callback import JournalCallback

    callback = JournalCallback(journal, folder, progress, config, environment_tags(), dataset.references)
    deadline = time.monotonic() + (config.budget.seconds or math.inf)

    def is_over() -> bool:
        return interrupted.is_set() or time.monotonic() > deadline

    try:
        _tuner(config, dataset, share, folder, callback, is_over).fit()
    except KeyboardInterrupt:
        interrupted.set()  # a second Ctrl-C, which does not wait for Tune
    except Exception as error:
        # Tune itself, or the journal: what a training raises is a trial's result and does not come here.
        reason = f"the sweep broke off: {type(error).__name__}: {' '.join(str(error).split())}"
        callback.end_running(reason, keep_measured=False)
        raise SweepFailed(f"{reason}. What its trials recorded is kept: sweeps status {folder.id}") from error
    if interrupted.is_set():
        callback.end_running("interrupted", keep_measured=False)
    else:
        callback.end_running("budget.seconds", keep_measured=True)


def _tuner(
    config: SweepConfig,
    dataset: "Dataset",
    share: Share,
    folder: SweepFolder,
    callback: "JournalCallback",
    is_over: Callable[[], bool],
) -> "tune.Tuner":
    from ray import tune

    from sweeps.search.searchers import TuneSearcher
    from sweeps.search.stopping import SweepStopper, scheduler

    trainable = tune.with_parameters(
        _run_pack,
        sweep=config.to_dict(),
        data=dict(dataset.arrays),
        pca_mse=dataset.pca_mse,
        column_mean=dataset.column_mean,
        accelerator="gpu" if share.gpus else "cpu",
        folder=str(folder.path),
    )
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": share.cpus, "gpu": share.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=TuneSearcher(config, share.concurrency),
            scheduler=scheduler(config),
            num_samples=config.n_trials,
            # Without it Tune keeps one pending trial only, however many the searcher would give.
            max_concurrent_trials=share.concurrency,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=folder.tune.name,
            storage_path=str(folder.path),
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=config.resources.retries),
            stop=SweepStopper(is_over),
            verbose=0,
        ),
    )


def _run_pack(config: dict[str, Any], **given: Any) -> None:
    """Tune's trainable; the worker imports torch here, which the driver need not."""
    from sweeps.trial import run_pack

    run_pack(config, **given)


def _state(result: SweepResult, *, interrupted: bool) -> SweepState:
    """How a sweep ended that Tune saw to its end; a Ctrl-C that came when all had ended has interrupted nothing."""
    if interrupted and (result.count(PointState.KILLED) or len(result.points) < result.config.n_trials):
        return SweepState.INTERRUPTED
    return SweepState.FINISHED if result.count(PointState.FINISHED) else SweepState.FAILED


def _end(journal: Journal, state: SweepState, began: float, startup_seconds: float | None) -> None:
    """Write down how the sweep ended, with the ranking for those who browse."""
    result = read_result(journal)
    tags = {SECONDS: f"{time.time() - began:.3f}"}
    if startup_seconds is not None:
        tags[STARTUP_SECONDS] = f"{startup_seconds:.3f}"
    metrics = [objective.metric for objective in result.config.objectives]
    description = ranking_description(result.record, result.points, result.ranking, metrics)
    journal.end_sweep(state, description, tags, now_ms())


def _startup(progress: Progress, share: Share, began: float) -> float | None:
    """Seconds until every worker was ready to train: until the first report of the last of them."""
    first = sorted(progress.ready_ms.values())[: share.concurrency]
    return first[-1] / 1000 - began if first else None


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second interrupts as usual."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

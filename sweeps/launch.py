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

# How long the end of a sweep waits for MLflow to take what is left; `sweeps sync` delivers what it did not.
DELIVERY_SECONDS = 30.0


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
    address = os.environ.get("RAY_ADDRESS")
    with ThreadPoolExecutor(1) as background:
        loading = background.submit(_load, config)
        session.prepare(address)  # Importing Ray takes seconds, in which the data loads.
        dataset = loading.result()
    with _interruption() as interrupted, session.connect(address) as cluster:
        share = share_of(config.resources, cluster)
        folder = folders.create(config.name)
        folder.config.write_text(config.to_yaml())
        with Journal.create(folder.journal, _record(config, folder, dataset, began)) as journal:
            shipper = Shipper(journal, uri, folder.path)
            shipper.start()
            progress = Progress(folder.id, config.n_trials, config.n_epochs, config.objectives[0])
            if watch is not None:
                watch(progress)
            try:
                _train(config, dataset, share, folder, journal, progress, interrupted)
            finally:
                _end(journal, _startup(progress, share, began), began, interrupted=interrupted.is_set())
                shipper.close(DELIVERY_SECONDS)
    return load_result(folder)


def _load(config: SweepConfig) -> "Dataset":
    from sweeps.dataset import load_dataset

    return load_dataset(config)


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

    callback = JournalCallback(journal, progress, config, environment_tags(), dataset.references)
    deadline = time.monotonic() + (config.budget.seconds or math.inf)
    try:
        _tuner(
            config, dataset, share, folder, callback, lambda: interrupted.is_set() or time.monotonic() > deadline
        ).fit()
    finally:
        reason = "interrupted" if interrupted.is_set() else "budget.seconds"
        callback.end_running(reason, interrupted=interrupted.is_set())


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


def _end(journal: Journal, startup_seconds: float | None, began: float, *, interrupted: bool) -> None:
    """Write down how the sweep ended, with the ranking for those who browse."""
    result = read_result(journal)
    tags = {SECONDS: f"{time.time() - began:.3f}"}
    if startup_seconds is not None:
        tags[STARTUP_SECONDS] = f"{startup_seconds:.3f}"
    if interrupted:
        state = SweepState.INTERRUPTED
    else:
        state = SweepState.FINISHED if result.count(PointState.FINISHED) else SweepState.FAILED
    metrics = [objective.metric for objective in result.config.objectives]
    description = ranking_description(result.record, result.points, result.ranking, metrics)
    journal.end_sweep(state, description, tags, now_ms())


def _startup(progress: Progress, share: Share, began: float) -> float | None:
    """Seconds until every worker was ready to train: the first reports of epoch 0, one a worker."""
    first = progress.first_reports_ms[: share.concurrency]
    return max(first) / 1000 - began if first else None


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

"""What Ray Tune is given of a sweep: what trains a pack, who gives it points, and what ends it."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from sweeps.cluster.resources import Share
from sweeps.config import SweepConfig
from sweeps.gc_tuning import imports_to_stay
from sweeps.search.packing import largest_pack
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.resume_state import ResumeState

if TYPE_CHECKING:
    from ray import tune

    from sweeps.cluster.tune.journal_callback import JournalCallback
    from sweeps.trial.dataset import Dataset


def tuner(
    config: SweepConfig,
    dataset: "Dataset",
    share: Share,
    folder: SweepFolder,
    past: ResumeState,
    callback: "JournalCallback",
    is_over: Callable[[], bool],
    storage: str,
) -> "tune.Tuner":
    """The tuner of a sweep's points that are left; `storage` is a folder for what it keeps while it runs."""
    from ray import tune

    from sweeps.cluster.tune.schedulers import scheduler
    from sweeps.cluster.tune.searcher import TuneSearcher
    from sweeps.cluster.tune.stopper import SweepStopper

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
            search_alg=TuneSearcher(
                config,
                share.concurrency,
                past.ended,
                past.begun,
                largest_pack=largest_pack(config, on_gpu=share.gpus > 0),
            ),
            scheduler=scheduler(config, past.ended_values, past.begun_values),
            num_samples=past.n_left(config),
            # Without it Tune keeps one pending trial only, however many the searcher would give.
            max_concurrent_trials=share.concurrency,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=folder.id,
            storage_path=storage,
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=config.resources.retries),
            stop=SweepStopper(is_over),
            verbose=0,
        ),
    )


def _run_pack(config: dict[str, Any], **given: Any) -> None:
    """Tune's trainable; the worker imports torch here, which the driver need not."""
    _imported()(config, **given)


@cache
def _imported() -> Callable[..., None]:
    """What trains a pack, imported once in a worker's life."""
    with imports_to_stay():
        from sweeps.cluster.tune.trainable import run_pack
    return run_pack

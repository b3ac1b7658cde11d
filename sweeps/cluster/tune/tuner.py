"""Ray Tune's Tuner for a sweep: what trains a pack, what chooses points, and what stops them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sweeps.cluster.tune.sweep_run import SweepRun
from sweeps.cluster.tune.trainable import TrialInputs, train_pack
from sweeps.trial.system_metrics import sampling_from_environment

if TYPE_CHECKING:
    from ray import tune

    from sweeps.cluster.tune.journal_callback import JournalCallback


def tuner(run: SweepRun, callback: "JournalCallback", is_over: Callable[[], bool], storage: str) -> "tune.Tuner":
    """Return the Tuner of a sweep's remaining points; `is_over` stops it, `storage` is a folder for Tune's files."""
    from ray import tune

    from sweeps.cluster.tune.schedulers import scheduler
    from sweeps.cluster.tune.searcher import TuneSearcher
    from sweeps.cluster.tune.sweep_stopper import SweepStopper

    config, share, state = run.config, run.inputs.share, run.resume_state
    trainable = tune.with_parameters(train_pack, inputs=_trial_inputs(run))
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": share.cpus, "gpu": share.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=TuneSearcher(
                config,
                share.concurrency,
                state.ended,
                state.unfinished,
                largest_pack=run.inputs.packing.largest(on_gpu=share.gpus > 0),
            ),
            scheduler=scheduler(config, state.ended_values, state.unfinished_values),
            num_samples=state.n_remaining(config),
            # Otherwise Tune keeps one pending trial only, however many points the searcher has.
            max_concurrent_trials=share.concurrency,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=run.folder.id,
            storage_path=storage,
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=config.resources.retries),
            stop=SweepStopper(is_over),
            # It prints nothing. In a notebook, Tune's default would clear what is shown there.
            progress_reporter=tune.CLIReporter(),
            verbose=0,
        ),
    )


def _trial_inputs(run: SweepRun) -> TrialInputs:
    dataset = run.inputs.dataset
    return TrialInputs(
        sweep=run.config.to_dict(),
        arrays=dict(dataset.arrays),
        pca_mse=dataset.pca_mse,
        column_mean=dataset.column_mean,
        folder=str(run.folder.path),
        accelerator="gpu" if run.inputs.share.gpus else "cpu",
        statistics=dataset.statistics,
        standardized=dataset.standardized,
        sampling=sampling_from_environment(),
    )

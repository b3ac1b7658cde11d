"""Run sweeps from Python: run, resume, extend and stop."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.api.progress import Watch, shown_progress
from sweeps.api.sweep_names import OfSweep, find_here

if TYPE_CHECKING:
    from sweeps.api.sweep_status import SweepStatus
    from sweeps.config import SweepConfig
    from sweeps.tracking.sweep_result import SweepResult

STOP_TIMEOUT_SECONDS = 120.0


def run(
    config: "SweepConfig | str | Path | Mapping[str, Any]",
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    offline: bool = False,
    progress: bool | Watch = True,
    uri: str | None = None,
) -> "SweepResult":
    """Run a sweep to its end, here or on the Ray cluster that RAY_ADDRESS names, and return its result.

    Ctrl-C, or interrupting the kernel of a notebook, stops the sweep cleanly: the result then has the state INTERRUPTED
    and `resume` continues it. A trial that fails is part of the result.

    Args:
        config: A sweep, the name of a recipe, the path of a sweep file, or the sections of a sweep as a dict.
        overrides: Settings to change, as for `load`.
        offline: Start even if MLflow is unreachable; `sweeps sync` delivers later.
        progress: Show a bar in a notebook and the live view in a terminal. A function gets the sweep's counters.
        uri: The MLflow store to deliver to; by default MLFLOW_TRACKING_URI.

    Raises:
        InputError: The sweep, its data, MLflow or Ray does not fit; nothing was started.
        SweepFailed: The sweep was aborted, for example by a full disk.

    Example:
        >>> config = sweeps.load("quickstart", {"name": "demo", "budget.trials": 2, "training.epochs": 2})
        >>> result = sweeps.run(config)
        >>> len(result.trials()), result.best.metrics["valid/probe_error"] < 0.9
        (2, True)

    """
    from sweeps.launch import run

    sweep = sweep_config(config, overrides)
    with shown_progress(progress) as watch:
        return run(sweep, offline=offline, watch=watch, uri=uri)


def resume(sweep: str | OfSweep, *, progress: bool | Watch = True) -> "SweepResult":
    """Resume an interrupted sweep; unfinished trials continue from their checkpoints.

    Args:
        sweep: The sweep: its id, a unique prefix of it, its name, `latest`, or what another function returned for it.
        progress: As for `run`.

    Raises:
        UnknownSweep: There is no such sweep on this machine.
        SweepLocked: Another process runs it.
        SweepDone: Nothing is left to train.

    Example:
        >>> sweeps.resume("demo")
        Traceback (most recent call last):
        sweeps.errors.SweepDone: demo-... must have trials left to be resumed, and all its 2 have ended: ...

    """
    from sweeps.resumption import resume

    folder = find_here(sweep, "resume")
    with shown_progress(progress) as watch:
        return resume(folder, watch=watch)


def extend(sweep: str | OfSweep, n_trials: int, *, progress: bool | Watch = True) -> "SweepResult":
    """Add trials to a sweep and train them; its searcher keeps what it has learned.

    Args:
        sweep: The sweep, as for `resume`.
        n_trials: How many trials to add.
        progress: As for `run`.

    Raises:
        UnknownSweep: There is no such sweep on this machine.
        SweepLocked: Another process runs it.
        InputError: `n_trials` is not positive, or the search space has no more points.

    Example:
        >>> sweeps.extend("demo", 1).config.n_trials
        3

    """
    from sweeps.errors import InputError
    from sweeps.resumption import resume

    if isinstance(n_trials, bool) or not isinstance(n_trials, int) or n_trials < 1:
        raise InputError(f"n_trials must be a whole number, at least 1, not {n_trials!r}")
    folder = find_here(sweep, "extend")
    with shown_progress(progress) as watch:
        return resume(folder, n_more=n_trials, watch=watch)


def stop(sweep: str | OfSweep, *, address: str | None = None) -> "SweepStatus":
    """Stop a sweep that another process or a cluster runs, cleanly as Ctrl-C does; return once it has ended.

    Args:
        sweep: The sweep, as for `resume`, or what `submit` returned.
        address: API server of the cluster that runs it; by default that of `submit`, or RAY_API_SERVER_ADDRESS if the
            sweep is not on this machine.

    Raises:
        UnknownSweep: There is no such sweep.
        SweepDone: It does not run.
        SweepLocked: A process on another host runs it, or it did not stop in time.

    Example:
        >>> sweeps.stop("latest")
        Traceback (most recent call last):
        sweeps.errors.SweepDone: no process runs demo-...: there is nothing to stop

    """
    from sweeps.api.places import submitted_elsewhere
    from sweeps.api.sweep_status import SweepStatus
    from sweeps.cluster.jobs.submissions import stop
    from sweeps.storage.sweep_lock import stop_owner
    from sweeps.tracking.results import load_result

    elsewhere = submitted_elsewhere(sweep, address)
    if elsewhere is not None:
        return SweepStatus.of_submitted(stop(*elsewhere))
    folder = find_here(sweep, "stop")
    stop_owner(folder, STOP_TIMEOUT_SECONDS)
    return SweepStatus.of_result(load_result(folder))


def sweep_config(
    config: "SweepConfig | str | Path | Mapping[str, Any]", overrides: Sequence[str] | Mapping[str, Any] = ()
) -> "SweepConfig":
    """Return the sweep that a caller means; ConfigError if it is not valid."""
    from sweeps.config import SweepConfig, load
    from sweeps.config.overrides import overridden
    from sweeps.errors import InputError

    if isinstance(config, str | Path):
        return load(config, overrides)
    if isinstance(config, Mapping):
        return SweepConfig(**overridden(config, overrides))
    if not isinstance(config, SweepConfig):
        raise InputError(
            f"config must be a SweepConfig, the name of a recipe, a path or a dict, not {type(config).__name__}"
        )
    return SweepConfig(**overridden(config.to_dict(), overrides)) if overrides else config

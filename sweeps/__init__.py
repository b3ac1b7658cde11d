"""Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.

`load` reads a recipe or a sweep file, `run` trains it, `resume` and `extend` go on with it, `best` gives the result of
a sweep by its id, and `promote` makes its model the champion in MLflow's registry. Each is imported on first use:
`import sweeps` is quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.config import load
    from sweeps.launch import run
    from sweeps.registry.promotion import Promotion
    from sweeps.tracking.results import SweepResult

__all__ = ["best", "extend", "load", "promote", "resume", "run"]


def best(sweep_id: str) -> "SweepResult":
    """The result of a sweep, with its ranking; UnknownSweep where there is none of that id."""
    from sweeps.storage.layout import find
    from sweeps.tracking.results import load_result

    return load_result(find(sweep_id))


def resume(sweep_id: str) -> "SweepResult":
    """Go on with a sweep that was stopped, interrupted or lost."""
    from sweeps.resumption import resume
    from sweeps.storage.layout import find

    return resume(find(sweep_id))


def extend(sweep_id: str, n_trials: int) -> "SweepResult":
    """Give a sweep so many more trials, and train them."""
    from sweeps.resumption import resume
    from sweeps.storage.layout import find

    return resume(find(sweep_id), n_more=n_trials)


def promote(
    run: str,
    model: str,
    *,
    trial: str | None = None,
    alias: str = "champion",
    first: bool = False,
    dry_run: bool = False,
    force: bool = False,
    n_seeds: int | None = None,
) -> "Promotion":
    """Make a trial's model the champion of the registered `model` if it passes its gates; by default the best trial."""
    from sweeps.registry.promote import promote
    from sweeps.registry.promotion import Request

    request = Request(model, alias, first=first, dry_run=dry_run, force=force, n_seeds=n_seeds)
    return promote(run, trial, request)


def __getattr__(name: str) -> Any:
    if name == "load":
        from sweeps.config import load

        return load
    if name == "run":
        from sweeps.launch import run

        return run
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")

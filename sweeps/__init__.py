"""Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.

`load` reads a recipe or a sweep file and `run` trains it; `resume` continues an interrupted sweep and `extend` adds
trials to it; `best` loads the result of a sweep by its id, and `promote` makes its best model the champion in MLflow's
registry. Everything is imported on first use, so that `import sweeps` is quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.config import load
    from sweeps.launch import run
    from sweeps.registry.promotion import Promotion
    from sweeps.tracking.results import SweepResult

__all__ = ["best", "extend", "load", "promote", "resume", "run"]


def best(sweep_id: str) -> "SweepResult":
    """Return the result of a sweep, with its ranking; raise UnknownSweep if there is none of that id."""
    from sweeps.storage.layout import find
    from sweeps.tracking.results import load_result

    return load_result(find(sweep_id))


def resume(sweep_id: str) -> "SweepResult":
    """Resume a sweep that was stopped or interrupted; unfinished trials continue from their checkpoints."""
    from sweeps.resumption import resume
    from sweeps.storage.layout import find

    return resume(find(sweep_id))


def extend(sweep_id: str, n_trials: int) -> "SweepResult":
    """Add `n_trials` trials to a sweep and train them; its searcher keeps what it has learned."""
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
    """Make a trial's model, by default the best trial's, the champion of the registered `model` if it passes all gates.

    `first` allows promotion when there is no champion yet, `force` promotes despite failed gates and `dry_run` only
    judges. `n_seeds` also requires that the median of so many other seeds passes.
    """
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

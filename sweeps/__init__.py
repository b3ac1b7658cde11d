"""Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow.

Define a sweep in Python, or load a recipe or a sweep file; run it; look at its trials:

    >>> import sweeps
    >>> config = sweeps.SweepConfig(
    ...     name="sizes",
    ...     data={"name": "digits"},
    ...     model={"name": "shallow"},
    ...     training={"epochs": 2},
    ...     search={"model.hidden_size": {"choice": [16, 32]}},
    ...     objective={"metric": "valid/mse"},
    ...     budget={"trials": 2},
    ... )
    >>> result = sweeps.run(config)
    >>> result.trials()[["model.hidden_size", "valid/mse", "epoch"]].shape
    (2, 3)
    >>> result.history()["valid/mse"].unstack("trial").shape
    (2, 2)

Functions
    load(recipe_or_path, overrides)     the sweep of a recipe or a sweep file
    run(config)                         run a sweep to its end: SweepResult
    submit(config)                      submit it to a Ray cluster as a detached job: Submitted
    resume(sweep), extend(sweep, n)     continue an interrupted sweep; add trials to one: SweepResult
    stop(sweep), status(sweep)          stop a sweep; its state and counts, also on a cluster: SweepStatus
    best(sweep), list_sweeps()          the result of a sweep; the status of all
    diagnose(run), evaluate(run)        why a trial did not learn; its metrics on the test split
    promote(run, model)                 make a trial's model the champion of a registered model: Promotion
    rollback(model), history(model)     move an alias back; who held it, when and why

A sweep is named by its id, a unique prefix of it, its name (the newest of that name), `latest`, or what another
function returned for it; a run by SWEEP/TRIAL, a sweep (its best trial), or the id of an MLflow run. In the examples of
the functions, `demo` is the sweep of the example of `run`.

Sections of a sweep are dicts or the classes in `sweeps.config`. The classes of results are `SweepResult`,
`RankedTrial`, `SweepStatus`, `Submitted`, `TrialResult`, `Evaluation`, `Promotion`, `Move` and `AuditedHistory`. All
exceptions are in `sweeps.errors`: InputError is what the caller can fix, with one line for each issue.

Everything is imported on first use, so that `import sweeps` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps import errors
    from sweeps.api.looks import best, diagnose, evaluate, list_sweeps, status
    from sweeps.api.models import history, promote, rollback
    from sweeps.api.runs import extend, resume, run, stop
    from sweeps.api.submission import Submitted as Submitted
    from sweeps.api.submission import submit
    from sweeps.api.sweep_status import SweepStatus as SweepStatus
    from sweeps.config import SweepConfig as SweepConfig
    from sweeps.config import load
    from sweeps.evaluation import Evaluation as Evaluation
    from sweeps.registry.alias_history import Move as Move
    from sweeps.registry.audited_history import AuditedHistory as AuditedHistory
    from sweeps.registry.promotion import Promotion as Promotion
    from sweeps.tracking.sweep_result import RankedTrial as RankedTrial
    from sweeps.tracking.sweep_result import SweepResult as SweepResult
    from sweeps.tracking.trial_lookup import TrialResult as TrialResult

    __version__: str

# Without the classes: `help(sweeps)` would import torch and MLflow, and print hundreds of lines before the functions.
__all__ = [
    "best",
    "diagnose",
    "errors",
    "evaluate",
    "extend",
    "history",
    "list_sweeps",
    "load",
    "promote",
    "resume",
    "rollback",
    "run",
    "status",
    "stop",
    "submit",
]

# The module of each name.
_MODULES = {
    "AuditedHistory": "sweeps.registry.audited_history",
    "Evaluation": "sweeps.evaluation",
    "Move": "sweeps.registry.alias_history",
    "Promotion": "sweeps.registry.promotion",
    "RankedTrial": "sweeps.tracking.sweep_result",
    "Submitted": "sweeps.api.submission",
    "SweepConfig": "sweeps.config",
    "SweepResult": "sweeps.tracking.sweep_result",
    "SweepStatus": "sweeps.api.sweep_status",
    "TrialResult": "sweeps.tracking.trial_lookup",
    "best": "sweeps.api.looks",
    "diagnose": "sweeps.api.looks",
    "evaluate": "sweeps.api.looks",
    "extend": "sweeps.api.runs",
    "history": "sweeps.api.models",
    "list_sweeps": "sweeps.api.looks",
    "load": "sweeps.config",
    "promote": "sweeps.api.models",
    "resume": "sweeps.api.runs",
    "rollback": "sweeps.api.models",
    "run": "sweeps.api.runs",
    "status": "sweeps.api.looks",
    "stop": "sweeps.api.runs",
    "submit": "sweeps.api.submission",
}


if not TYPE_CHECKING:  # A type checker would accept any name of a module that has it.

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            value = getattr(import_module(_MODULES[name]), name)
        elif name == "errors":
            value = import_module("sweeps.errors")
        elif name == "__version__":
            value = _version()
        else:
            raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "SweepConfig", "__version__"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("autoencoder-sweeps")
    except PackageNotFoundError:  # code that was copied, as in the job of a submitted sweep
        return "unknown"

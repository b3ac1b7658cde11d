"""A trial's settings as a sweep file that trains it again."""

from sweeps.analysis.sweep_files import renamed
from sweeps.config.dotted_paths import with_values
from sweeps.config.plain_yaml import write_yaml
from sweeps.tracking.sweep_result import RankedTrial, SweepResult

# They say how points are chosen, compared while they train and counted: a single trial has none of it.
_OF_A_SEARCH = ("search", "algorithm", "stopping", "budget")


def best_settings(result: SweepResult) -> str | None:
    """Return the best trial's settings as a sweep file; None if no trial is ranked."""
    return None if result.best is None else trial_settings(result, result.best)


def trial_settings(result: SweepResult, trial: RankedTrial) -> str:
    """Return a trial's settings as a sweep file without a search, whose only trial has the same config."""
    document = with_values(result.config.to_dict(), trial.point)
    for section in _OF_A_SEARCH:
        document.pop(section, None)
    experiment = {"experiment": result.config.experiment}
    text = f"Trial {trial.trial} of {result.sweep}."
    return write_yaml(renamed(document, "-best") | experiment | {"description": text})

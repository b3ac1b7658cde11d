"""What the analysis of a sweep adds to the metrics of its parent run."""

import logging

from sweeps.analysis.importance import importances
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.results import SweepResult
from sweeps.tracking.sweep_end import record_importances


def record_analysis(journal: Journal, result: SweepResult, time_ms: int) -> None:
    """Record how much each searched setting matters, if there are trials enough to say; a failure is only logged."""
    try:
        found = importances(result)
    except Exception as error:  # a sweep has its result, whatever its analysis comes to
        logging.getLogger(__name__).warning(
            "The importance of settings could not be computed (%s: %s): the parent run has none",
            type(error).__name__,
            error,
        )
        return
    record_importances(journal, {s.path: s.fanova for s in found.settings}, result.n_ended, time_ms)

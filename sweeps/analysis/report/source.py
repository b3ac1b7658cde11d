"""What a report is made from: a sweep's result, its trials' histories, and their saved arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sweeps.analysis.importance import Importance, importances
from sweeps.search.ranking import History
from sweeps.storage.array_file import ArrayFileError, read_arrays
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import RankedTrial, SweepResult, load_result


@dataclass(frozen=True)
class ReportSource:
    """A sweep as its report reads it; `histories` holds the metrics of each trial by epoch, `last_ms` the last entry.

    Nothing in it depends on when it is read, so that the report of an unchanged sweep is the same file.
    """

    result: SweepResult
    histories: Mapping[str, History]
    last_ms: int

    @cached_property
    def importances(self) -> Sequence[Importance]:
        """Return the importance of the settings for each objective."""
        with threadpool_limits(1):  # small forests; and the trials of a running sweep need the cores
            return [importances(self.result, index) for index in range(len(self.result.objective_metrics))]

    @property
    def points(self) -> Mapping[str, PointRecord]:
        """Return the trials' records by id."""
        return {point.point_id: point for point in self.result.points}

    def arrays(self, trial: RankedTrial) -> dict[str, NDArray[Any]]:
        """Return the arrays of a trial's best epoch, or of its last snapshot until then; {} if there are none."""
        folder = self.result.folder.point(trial.trial)
        places = [folder.best_arrays]
        places += [folder.snapshot(epoch) for epoch in range(trial.epoch, -1, -1)]
        found = next((place for place in places if place.exists()), None)
        if found is None:
            return {}
        try:
            return read_arrays(found)
        except ArrayFileError:  # damaged, or being replaced: the report has no image of this trial
            return {}


def read_source(folder: SweepFolder) -> ReportSource:
    """Return what the report of the sweep in a folder is made from, ended or running."""
    result = load_result(folder)
    with read_journal(folder) as journal:
        histories = {point.point_id: journal.history(point.point_id) for point in result.points}
        return ReportSource(result, histories, journal.last_ms())


def finite(value: Any) -> Any:
    """Return a value as strict JSON has it: None in place of NaN and infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

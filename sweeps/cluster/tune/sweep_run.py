"""One start of a sweep: its inputs, and where it records."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweeps.cluster.resources import Share
from sweeps.config import SweepConfig
from sweeps.search.packing import Packing
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import IsOwner
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.progress import Progress
from sweeps.tracking.resume_state import ResumeState

if TYPE_CHECKING:
    from sweeps.trial.dataset import Dataset


@dataclass(frozen=True)
class SweepInputs:
    """The inputs of a sweep before its first trial: data, resources, packing, and Ctrl-C as an event."""

    dataset: "Dataset"
    share: Share
    packing: Packing
    interrupted: threading.Event


@dataclass(frozen=True)
class SweepRun:
    """One start of a sweep, from `began` in seconds since 1970: a new one, or one that resumes `resume_state`.

    `journal` records it, `folder` and the MLflow store at `store_uri` get copies. `is_owner` returns whether this
    process still owns the sweep. `progress` has the counters that the live view shows.
    """

    config: SweepConfig
    inputs: SweepInputs
    folder: SweepFolder
    journal: Journal
    store_uri: str
    is_owner: IsOwner
    began: float
    progress: Progress
    resume_state: ResumeState = field(default_factory=ResumeState)

    @property
    def startup_seconds(self) -> float | None:
        """Seconds until every worker was ready: until the first report of the last one. None before any."""
        # A resumed point first reports what an earlier start measured.
        reports = (ready_ms for ready_ms in self.progress.ready_ms.values() if ready_ms >= self.began * 1000)
        first = sorted(reports)[: self.inputs.share.concurrency]
        return first[-1] / 1000 - self.began if first else None

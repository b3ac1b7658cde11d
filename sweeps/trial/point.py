"""One point in training: its phases, its recorder, and where it resumes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from sweeps.config import TrialConfig
from sweeps.config.search_space import Point
from sweeps.models.build import Phase, build_phases
from sweeps.models.diagnosis.examination import Examination
from sweeps.models.image_shape import SampleShape
from sweeps.search.patience import Patience
from sweeps.storage.atomic_write import remove_partial
from sweeps.storage.layout import PointFolder
from sweeps.storage.private_files import make_folder
from sweeps.trial.best_checkpoint import BestNetwork
from sweeps.trial.context import TrialContext
from sweeps.trial.epoch_schedule import EpochSchedule
from sweeps.trial.event_log import EventLog
from sweeps.trial.measurements import Measurements
from sweeps.trial.point_checkpoint import resume_from_checkpoint
from sweeps.trial.point_progress import PointProgress
from sweeps.trial.recorder import Recorder
from sweeps.trial.reports import Reports
from sweeps.trial.snapshots import Snapshots


@dataclass(frozen=True, eq=False)
class PointTraining:
    """A point in training. It resumes in phase `first_phase`, after `epoch` epochs; 0 without a checkpoint."""

    trial: TrialConfig
    phases: Sequence[Phase]
    recorder: Recorder
    first_phase: int = 0
    epoch: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether the point's end has been reported."""
        return self.recorder.log.has_reported_end

    def resumes_in(self, index: int) -> bool:
        """Return whether a phase resumes from the checkpoint."""
        return self.epoch > 0 and index == self.first_phase

    def start_phase(self, index: int) -> None:
        """Let the recorder start a phase."""
        n_epochs_before = sum(phase.epochs for phase in self.phases[:index])
        self.recorder.start_phase(index, n_epochs_before, is_last=index == len(self.phases) - 1)

    def forget_errors(self) -> None:
        """Drop the error that ended the point, once reported: an error keeps alive the frames that raised it."""
        for phase in self.phases:
            phase.member.error = None


def prepare_point(point_id: str, point: Point, context: TrialContext, reports: Reports) -> PointTraining | None:
    """Build a point and restore its checkpoint, if there is one.

    Return None if the point has ended already; its end is then reported again.
    """
    trial = context.sweep.trial_at(point)
    phases = build_phases(
        trial.model,
        trial.training,
        input_size=SampleShape(context.arrays.n_features, context.arrays.image_shape),
        n_classes=context.arrays.n_classes,
        references=context.references_for(trial.model),
        statistics=context.statistics,
    )
    folder = context.folder.point(point_id)
    make_folder(folder.path)
    remove_partial(folder.path)
    recorder = _recorder(trial, phases[-1], folder, context, reports)
    if recorder.report_end_again():
        return None
    position = resume_from_checkpoint(recorder)
    return PointTraining(trial, phases, recorder, *position)


def _recorder(
    trial: TrialConfig, last_phase: Phase, folder: PointFolder, context: TrialContext, reports: Reports
) -> Recorder:
    network, objectives = last_phase.member.network, context.sweep.objectives
    examination = Examination(
        trial.model,
        trial.training,
        network,
        last_phase.member.objective,
        context.references_for(trial.model),
        context.column_mean,
        len(context.arrays.valid.inputs),
    )
    schedule = EpochSchedule(
        trial.n_epochs,
        frozenset(context.sweep.stopping.rung_epochs(trial)),
        n_pretraining_epochs=trial.n_pretraining_epochs,
        details=context.sweep.figures.detailed != "none",
    )
    n_probe_samples = trial.training.probe_samples if context.arrays.n_classes is not None else 0
    return Recorder(
        PointProgress(schedule, Patience(trial.training.patience, objectives[0])),
        Measurements(network, examination, context.data, n_probe_samples, last_phase.member.validation),
        BestNetwork(trial.model, network, objectives, folder),
        Snapshots(folder, context.data, trial.n_pretraining_epochs),
        EventLog(folder, _identity(trial), partial(reports.add, folder.point_id)),
    )


def _identity(trial: TrialConfig) -> str:
    return sha256(json.dumps(trial.to_dict(), sort_keys=True).encode()).hexdigest()

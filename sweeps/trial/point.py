"""One point in training: its phases, and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.config.sections import TrialConfig
from sweeps.models.build import Phase
from sweeps.trial.recorder import Recorder


@dataclass(frozen=True)
class PointTraining:
    """One point: its phases, and where it goes on. `epoch` is the last that its checkpoint has, 0 without one."""

    trial: TrialConfig
    phases: Sequence[Phase]
    recorder: Recorder
    first_phase: int = 0
    epoch: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to train or to tell."""
        return self.recorder.has_told_end

    def goes_on_in(self, index: int) -> bool:
        """Whether a phase was begun before, and goes on from the checkpoint."""
        return self.epoch > 0 and index == self.first_phase

    def start_phase(self, index: int) -> None:
        """Tell the recorder which phase runs next."""
        n_epochs_before = sum(before.epochs for before in self.phases[:index])
        self.recorder.start_phase(index, n_epochs_before, is_last=index == len(self.phases) - 1)

    def forget_errors(self) -> None:
        """Let go of what ended the point, once it is told: an error keeps the frames that raised it, and their data."""
        for phase in self.phases:
            phase.member.error = None
